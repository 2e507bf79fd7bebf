"""Mistakes and suspected label errors as rows of problems.csv (components/data/problems.py), each with its file."""

from collections.abc import Iterator, Sequence

import numpy as np

from components.artifact_files import Mistake, Suspect
from components.data.problems import MISTAKE, SUSPECT, ImageAt, Problem
from components.evaluate.image_files import NormalizedFiles
from components.formatting import percent


def named_rows(
    files: NormalizedFiles, mistakes: Sequence[Mistake], suspects: Sequence[Suspect], classes: Sequence[str]
) -> list[Problem]:
    """A row for each of *mistakes*, of the test split, and of *suspects*; both are given the names of their files."""
    rows = [
        Problem(image, classes[mistake["truth"]], MISTAKE, f"predicted {_prediction(mistake, classes)}")
        for mistake, image in zip(mistakes, _named(files, "test", mistakes), strict=True)
    ]
    for split in dict.fromkeys(suspect["split"] for suspect in suspects):
        of_split = [suspect for suspect in suspects if suspect["split"] == split]
        for suspect, image in zip(of_split, _named(files, split, of_split), strict=True):
            detail = f"may be {_prediction(suspect, classes)}; its label has {percent(suspect['given'], 1)}"
            rows.append(Problem(image, classes[suspect["truth"]], SUSPECT, detail))
    return rows


def _named(files: NormalizedFiles, split: str, mistakes: Sequence[Mistake]) -> Iterator[ImageAt]:
    images = files.of(split, np.array([mistake["index"] for mistake in mistakes], np.int64))
    for mistake, image in zip(mistakes, images, strict=True):
        if image.file:
            mistake["file"] = image.file
        yield image


def _prediction(mistake: Mistake, classes: Sequence[str]) -> str:
    return f"{classes[mistake['predicted']]!r} with a probability of {percent(mistake['probability'], 1)}"
