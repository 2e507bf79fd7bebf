"""Which images are blank, copies or near duplicates: each is a row of problems.csv, the first are in statistics.json.

A blank image is of one colour. A nearly blank one varies less than FAINT_SHARE of what the pixels of its split vary:
what is left is the noise of a sensor or of JPEG, or an object on less than 1/400 of the picture. The bound is relative,
so that images which were never scaled to 0..255, or have little contrast, are not all blank.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import Examples, Pairs, PixelStatistics, ProblemStatistics
from components.data import problems
from components.data.near_duplicates import near_pairs
from components.data.problems import ImageAt, ImageFiles, Problem
from components.data.splits import Images, Split

EXAMPLES = 10
FAINT_SHARE = 1 / 20
NO_PAIRS = np.empty((0, 2), np.int64)

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class SplitImages:
    """What is kept of each image of the split in *folder*; *labels* is None where the images have no sound ones.

    *difference_hashes* is shorter than the others where the images are not searched for near duplicates.
    """

    folder: Path
    labels: NDArray[Any] | None
    hashes: Hashes
    difference_hashes: Hashes
    constant: NDArray[np.bool_]
    deviations: NDArray[np.float32]

    @property
    def comparable(self) -> bool:
        return len(self.difference_hashes) == len(self.hashes)


class ProblemImages:
    """Finds the images with a problem in all splits; `rows` grows with each method that is called."""

    def __init__(self, splits: Mapping[str, SplitImages], files: ImageFiles, classes: list[str]) -> None:
        self.rows: list[Problem] = []
        self._splits, self._files, self._classes = splits, files, classes

    def of_split(self, name: str, pixels: PixelStatistics | None) -> ProblemStatistics:
        split = self._splits[name]
        bound = FAINT_SHARE * pixels["deviation"] if pixels else 0.0
        faint = np.flatnonzero(~split.constant & (split.deviations < bound))
        pairs, near = (
            _copies(split.hashes, self._files.lengths(name, len(split.hashes))),
            self._near.get((name, name), NO_PAIRS),
        )
        conflicting = self._add_copies(name, name, pairs)
        self._add_pairs(problems.NEAR_DUPLICATE, name, name, near)
        return {
            "constant": self._blank(name, np.flatnonzero(split.constant)),
            "faint": {**self._faint(name, faint), "bound": round(bound, 3)},
            "duplicates": self._pairs(name, name, pairs),
            "contradictions": self._pairs(name, name, pairs[conflicting]),
            "near_duplicates": self._pairs(name, name, near),
        }

    def leaked(self) -> Pairs:
        """Test images that are in training too, each with the first such training image."""
        pairs = _leaked(self._splits["test"].hashes, self._splits["train"].hashes)
        self._add_copies("test", "train", pairs)
        return self._pairs("test", "train", pairs)

    def near_leaked(self) -> Pairs:
        pairs = self._near["test", "train"]
        self._add_pairs(problems.NEAR_DUPLICATE, "test", "train", pairs)
        return self._pairs("test", "train", pairs)

    @cached_property
    def _near(self) -> dict[tuple[str, str], Indices]:
        """The near duplicates within each split, and of test images in training."""
        train, test = self._splits["train"], self._splits["test"]
        found = NO_PAIRS
        if len(test.hashes) and len(train.hashes) and train.comparable and test.comparable:
            parts = [(s.difference_hashes, s.hashes, s.deviations) for s in (train, test)]
            keys, exact, contrast = (np.concatenate(both) for both in zip(*parts, strict=True))
            found = near_pairs(keys, exact, contrast, self._read)
        start = len(train.hashes)
        in_test = found >= start
        found = found - start * in_test
        return {
            ("train", "train"): found[~in_test.any(1)],
            ("test", "test"): found[in_test.all(1)],
            ("test", "train"): found[in_test[:, 1] & ~in_test[:, 0]][:, ::-1],
        }

    def _read(self, indices: Indices) -> Images:
        """Images of both splits, those of training first."""
        train, test = (Split(self._splits[name].folder) for name in ("train", "test"))
        images, start = np.empty((len(indices), *train.shape), np.uint8), len(self._splits["train"].hashes)
        in_train = indices < start
        images[in_train], images[~in_train] = train.take(indices[in_train]), test.take(indices[~in_train] - start)
        return images

    # Statistics

    def _blank(self, split: str, indices: Indices) -> Examples:
        for index in indices.tolist():
            self._add(problems.BLANK, self._files.at(split, index), "of one colour")
        return self._examples(split, indices)

    def _faint(self, split: str, indices: Indices) -> Examples:
        for index in indices.tolist():
            deviation = self._splits[split].deviations[index]
            self._add(problems.FAINT, self._files.at(split, index), f"standard deviation {deviation:.2f} of 255")
        return self._examples(split, indices)

    def _examples(self, split: str, indices: Indices) -> Examples:
        first = indices[:EXAMPLES].tolist()
        examples: Examples = {"count": len(indices), "examples": first}
        return {**examples, "files": [self._files.at(split, i).file for i in first]} if self._files else examples

    def _pairs(self, split: str, other: str, pairs: Indices) -> Pairs:
        first = pairs[np.argsort(pairs[:, 1], kind="stable")][:EXAMPLES].tolist()
        found: Pairs = {"count": len(pairs), "examples": first}
        if not self._files:
            return found
        return {**found, "files": [[self._files.at(split, i).file, self._files.at(other, j).file] for i, j in first]}

    # Rows

    def _add(self, problem: str, image: ImageAt, detail: str, other: ImageAt | None = None) -> None:
        label = self._label(image)
        name = self._classes[label] if 0 <= label < len(self._classes) else ""
        self.rows.append(Problem(image, name, problem, detail, other))

    def _add_copies(self, split: str, other: str, pairs: Indices) -> NDArray[np.bool_]:
        """Rows for *pairs* of copies, but for blank ones, which have theirs; returns which have different labels."""
        copies = ~self._splits[split].constant[pairs[:, 0]]
        conflicting = copies & self._conflicting(split, other, pairs)
        self._add_pairs(problems.DUPLICATE, split, other, pairs[copies & ~conflicting])
        self._add_conflicts(split, other, pairs[conflicting])
        return conflicting

    def _add_pairs(self, problem: str, split: str, other: str, pairs: Indices) -> None:
        """A row for the second image of each pair, which is the copy, or the training image that is tested too."""
        verb = "repeats" if problem == problems.DUPLICATE else "nearly repeats"
        where = " of the test split" if split != other else ""
        left_out = "; left out of training" if split != other and problem == problems.DUPLICATE else ""
        for i, j in pairs.tolist():
            first, copy = self._files.at(split, i), self._files.at(other, j)
            self._add(problem, copy, f"{verb} {first}{where}{self._class(first, copy)}{left_out}", first)

    def _add_conflicts(self, split: str, other: str, pairs: Indices) -> None:
        """A row for both images of each pair: which label is wrong is for a user to say."""
        for i, j in pairs.tolist():
            first, copy = self._files.at(split, i), self._files.at(other, j)
            for image, twin in ((first, copy), (copy, first)):
                self._add(problems.CONFLICT, image, f"is the same image as {twin}{self._class(twin, image)}", twin)

    def _class(self, image: ImageAt, copy: ImageAt) -> str:
        """ ", of class 'dog'" where *image* has another label than its *copy*."""
        label = self._label(image)
        known = 0 <= label < len(self._classes) and label != self._label(copy)
        return f", of class {self._classes[label]!r}" if known else ""

    def _label(self, image: ImageAt) -> int:
        labels = self._splits[image.split].labels
        return int(labels[image.position]) if labels is not None and np.issubdtype(labels.dtype, np.integer) else -1

    def _conflicting(self, split: str, other: str, pairs: Indices) -> NDArray[np.bool_]:
        labels, others = self._splits[split].labels, self._splits[other].labels
        if labels is None or others is None:
            return np.zeros(len(pairs), np.bool_)
        differ: NDArray[np.bool_] = labels[pairs[:, 0]] != others[pairs[:, 1]]
        return differ


def _copies(keys: Hashes, lengths: list[int]) -> Indices:
    """Each image that repeats another, after that one: the first, or that with the shortest path (no "x copy.jpg")."""
    order = np.lexsort((np.array(lengths, np.int64), keys))
    starts = np.flatnonzero(np.diff(keys[order], prepend=~keys[order[:1]]))
    first = np.repeat(order[starts], np.diff(starts, append=len(keys)))
    copies = first != order
    return np.stack([first[copies], order[copies]], axis=1)


def _leaked(test: Hashes, train: Hashes) -> Indices:
    """Test images that are in training too, each with the first such training image."""
    if not len(train):
        return np.empty((0, 2), np.int64)
    order = np.argsort(train, kind="stable")
    place = np.minimum(np.searchsorted(train, test, sorter=order), len(train) - 1)
    twin = order[place]
    leaked = np.flatnonzero(train[twin] == test)
    return np.stack([leaked, twin[leaked]], axis=1)
