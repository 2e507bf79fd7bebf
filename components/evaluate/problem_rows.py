"""Mistakes and suspected label errors as rows of problems.csv (components/data/problems.py), each with its file."""

from collections.abc import Iterator, Sequence

import numpy as np

from components.artifact_files import Mistake, Suspect, Suspects
from components.data.problems import MISTAKE, SUSPECT, ImageAt, Problem
from components.evaluate.image_files import NormalizedFiles
from components.formatting import percent


def named_rows(
    files: NormalizedFiles, mistakes: Sequence[Mistake], suspects: Suspects, classes: Sequence[str]
) -> list[Problem]:
    """A row for each of *mistakes*, of the test split, and of *suspects*; both are given the names of their files."""
    rows = [
        Problem(image, classes[mistake["truth"]], MISTAKE, f"predicted {_prediction(mistake, classes)}")
        for mistake, image in zip(mistakes, _named(files, "test", mistakes), strict=True)
    ]
    groups = ((suspects["suspects"], _by_probabilities), (suspects.get("training_suspects", []), _by_neighbours))
    for listed, detail in groups:
        for split in dict.fromkeys(suspect["split"] for suspect in listed):
            of_split = [suspect for suspect in listed if suspect["split"] == split]
            rows += [
                Problem(image, classes[suspect["truth"]], SUSPECT, detail(suspect, classes))
                for suspect, image in zip(of_split, _named(files, split, of_split), strict=True)
            ]
    return rows


def _by_probabilities(suspect: Suspect, classes: Sequence[str]) -> str:
    return f"may be {_prediction(suspect, classes)}; its label has {percent(suspect['given'], 1)}"


def _by_neighbours(suspect: Suspect, classes: Sequence[str]) -> str:
    return (
        f"may be {classes[suspect['predicted']]!r}, the label of {percent(suspect['probability'], 0)} of the nearest "
        f"images; {percent(suspect['given'], 0)} have its own"
    )


def _named(files: NormalizedFiles, split: str, mistakes: Sequence[Mistake]) -> Iterator[ImageAt]:
    images = files.of(split, np.array([mistake["index"] for mistake in mistakes], np.int64))
    for mistake, image in zip(mistakes, images, strict=True):
        if image.file:
            mistake["file"] = image.file
        yield image


def _prediction(mistake: Mistake, classes: Sequence[str]) -> str:
    return f"{classes[mistake['predicted']]!r} with a probability of {percent(mistake['probability'], 1)}"
