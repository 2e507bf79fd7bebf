"""How the image files of two artifacts of ingest differ, counted by 64 bits of each path, content and label.

Those of a million files take 24 MB, their strings ten times as much. A count is wrong where two of them share 64 bits:
of a million files in one of ten million comparisons.
"""

import json
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.ingest.reading.recorded_files import UNKNOWN, recorded_files
from components.ingest.reading.source_files import read_splits
from pipeline.store.artifact import Artifact

Numbers = NDArray[np.int64]  # (n,)


class Files(NamedTuple):
    """Of each file: the `hash` of its path, 64 bits of its sha256, and the `hash` of its label."""

    paths: Numbers
    contents: Numbers
    labels: Numbers

    def some(self, chosen: NDArray[np.bool_] | Numbers) -> "Files":
        return Files(*(column[chosen] for column in self))


def files_of(artifact: Artifact) -> Files:
    """The files of the images in *artifact*; raises OSError, ValueError or LookupError where it is damaged."""
    recorded = recorded_files(artifact.path)
    classes: list[str] = json.loads((artifact.path / "source.json").read_bytes())["classes"]
    splits = read_splits(artifact.path / "files.json")
    numbers = np.concatenate([np.load(artifact.path / split / "labels.npy") for split in splits])
    labels = np.fromiter(map(hash, classes), np.int64)[numbers[recorded.places]]
    labels[recorded.places == UNKNOWN] = 0
    return Files(recorded.paths, recorded.sha256[:, 0].astype(np.int64), labels)


def differences(then: Files, now: Files) -> dict[str, int]:
    """How many files were added, removed, relabelled (the same content under another label), renamed and replaced."""
    then, now = (files.some(np.argsort(files.paths, kind="stable")) for files in (then, now))
    gone, new = then.some(~_in(then.paths, now.paths)), now.some(~_in(now.paths, then.paths))
    before, after = then.some(_in(then.paths, now.paths)), now.some(_in(now.paths, then.paths))
    renamed = _in_both(gone.contents ^ gone.labels, new.contents ^ new.labels)
    moved = _in_both(gone.contents, new.contents)
    return {
        "added": len(new.paths) - moved,
        "removed": len(gone.paths) - moved,
        "relabelled": int(np.count_nonzero(before.labels != after.labels)) + moved - renamed,
        "renamed": renamed,
        "replaced": int(np.count_nonzero(before.contents != after.contents)),
    }


def _in(numbers: Numbers, others: Numbers) -> NDArray[np.bool_]:
    """Whether each of *numbers* is one of *others*, which are in order."""
    if not len(others):
        return np.zeros(len(numbers), np.bool_)
    places = np.minimum(np.searchsorted(others, numbers), len(others) - 1)
    same: NDArray[np.bool_] = others[places] == numbers
    return same


def _in_both(some: Numbers, others: Numbers) -> int:
    """How many there are in both, of equal ones the smaller number of times."""
    (first, times), (second, as_often) = (np.unique(numbers, return_counts=True) for numbers in (some, others))
    _, here, there = np.intersect1d(first, second, assume_unique=True, return_indices=True)
    return int(np.minimum(times[here], as_often[there]).sum())
