"""Statistics of ingested images. It judges nothing and trusts nothing: what it cannot read, it records.

statistics.json
{
  "source", "name", "classes", "shape"           as ingest declares them
  "splits": {"train": {
    "images": 60000,
    "kinds": [{"dtype", "shape", "images", "first"}]      every kind of array; one, in sound data
    "unreadable": ["images-00001.npy", ...]
    "labels": {"dtype", "shape"} or null
    "outside": {"count", "examples", "values"}            labels outside the classes
    "histogram": [5923, ...] or null                      images per class; null where the labels are not integers
    "pixels": {"mean", "deviation", "min", "max", "channels": [{...}, ...]} or null       0..255, exact
    "constant": {"count", "examples"}                     images of one colour
    "faint": {"count", "examples", "bound"}               other images whose standard deviation is below the bound
    "nan": {"count", "examples"}                          images with a NaN value
    "duplicates": {"count", "examples": [[first, copy]]}  images that repeat an earlier one of the split
    "contradictions": {"count", "examples": [[i, j]]}     copies of an image under another label
    "near_duplicates": {"count", "examples": [[i, j]]}    components/data/near_duplicates.py
  }, "validation": {...}, where the source has such a split, "test": {...}},
  "leaked": {"count", "examples": [[test, train], ...]}        test images that are in training too
  "near_leaked": {"count", "examples": [[test, train], ...]}   test images with a near duplicate in training
}
Examples are the indices of the first EXAMPLES images. Where ingest knows the file of each image, "files" stands beside
"examples", with paths instead of indices.
"""

import json
from pathlib import Path
from tokenize import TokenError
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import (
    ArrayKind,
    Examples,
    ImageStatistics,
    LabelArray,
    LabelStatistics,
    PixelMoments,
    PixelStatistics,
    SourceFile,
    Statistics,
)
from components.data import problem_images
from components.data.near_duplicates import difference_hashes, searched
from components.data.pixels import Moments, deviations, hashes, histogram, moments
from components.data.problem_images import ProblemImages, SplitImages
from components.data.problems import ImageFiles, Problem
from components.progress import progress

EXAMPLES = problem_images.EXAMPLES
BLOCK = 4096
SPLITS = ("train", "validation", "test")  # validation where the source has one of its own

UNREADABLE = (OSError, ValueError, EOFError, SyntaxError, TypeError, OverflowError, TokenError)  # NumPy parses a header

Array = NDArray[Any]  # of whatever dtype a file holds


class Measured(NamedTuple):
    """The statistics, and every image that has a problem."""

    statistics: Statistics
    problems: list[Problem]


class SplitMeasured(NamedTuple):
    images: SplitImages
    statistics: ImageStatistics
    labels: LabelStatistics
    unreadable: list[str]


def compute_statistics(ingest: Path) -> Measured:
    """The statistics of the images in the artifact of *ingest*, laid out as above."""
    source: SourceFile = json.loads((ingest / "source.json").read_text(encoding="utf-8"))
    names = [name for name in SPLITS if name != "validation" or (ingest / name).is_dir()]
    measured = {name: split_statistics(ingest / name, source["classes"], source["shape"]) for name in names}
    problems = ProblemImages(
        {name: split.images for name, split in measured.items()}, ImageFiles.of(ingest), source["classes"]
    )
    statistics: Statistics = {
        "source": source["source"],
        "name": source["name"],
        "classes": source["classes"],
        "shape": source["shape"],
        "splits": {
            name: {
                **split.statistics,
                "unreadable": split.unreadable,
                **split.labels,
                **problems.of_split(name, split.statistics["pixels"]),
            }
            for name, split in measured.items()
        },
        "leaked": problems.leaked(),
        "near_leaked": problems.near_leaked(),
    }
    return Measured(statistics, problems.rows)


def split_statistics(folder: Path, classes: list[str], shape: list[int]) -> SplitMeasured:
    """What is measured about the split in *folder*."""
    tally, unreadable = _tally(folder, shape)
    labels = _open(folder / "labels.npy")
    if labels is None:
        unreadable.append("labels.npy")
    images = tally.images(folder, labels, comparable=not unreadable)
    return SplitMeasured(images, tally.statistics(), _labels(labels, len(classes)), unreadable)


def _tally(folder: Path, shape: list[int]) -> tuple["Tally", list[str]]:
    """What is counted about the images in *folder*, and the names of the shards that cannot be read."""
    tally, unreadable = Tally(shape), list[str]()
    shards = sorted(folder.glob("images-*.npy"))
    with progress(f"validate: shards of {folder.name}", len(shards)) as advance:
        for number, path in enumerate(shards, 1):
            if (images := _open(path)) is None:
                unreadable.append(path.name)
                continue
            for start in range(0, len(images), BLOCK):
                tally.add(np.array(images[start : start + BLOCK]))
            advance(number)
    return tally, unreadable if shards else ["images-00000.npy"]


def _open(path: Path) -> Array | None:
    """The array in *path*, memory-mapped; None where there is no complete array with a first dimension."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except UNREADABLE:
        return None
    return array if isinstance(array, np.ndarray) and array.ndim else None


class Tally:
    """What is counted about images, block by block."""

    def __init__(self, shape: list[int]) -> None:
        self._declared, self._seen = ("uint8", tuple(shape)), 0
        self._kinds: dict[tuple[str, tuple[int, ...]], ArrayKind] = {}
        self._counts = np.zeros((shape[-1], 256), np.int64)
        self._nan = Occurrences()
        self._hashes, self._difference_hashes = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
        self._constant, self._deviations = [np.empty(0, np.bool_)], [np.empty(0, np.float32)]

    def add(self, images: Array) -> None:
        """Count *images* (n, ...) of any dtype and shape."""
        kind = (str(images.dtype), images.shape[1:])
        new: ArrayKind = {"dtype": kind[0], "shape": list(kind[1]), "images": 0, "first": self._seen}
        self._kinds.setdefault(kind, new)["images"] += len(images)
        if kind == self._declared:
            self._counts += histogram(images)
        if np.issubdtype(images.dtype, np.inexact):
            self._nan.add(np.asarray(np.isnan(images).reshape(len(images), -1).any(1)), self._seen)
        self._hashes.append(hashes(images))
        self._constant.append(_constant(images))
        self._deviations.append(
            deviations(images) if kind == self._declared else np.full(len(images), np.inf, np.float32)
        )
        if kind == self._declared and searched(images.shape[1:]):
            self._difference_hashes.append(difference_hashes(images))
        self._seen += len(images)

    def statistics(self) -> ImageStatistics:
        return {
            "images": self._seen,
            "kinds": list(self._kinds.values()),
            "pixels": _pixels(self._counts),
            "nan": self._nan.statistics(),
        }

    def images(self, folder: Path, labels: Array | None, comparable: bool) -> SplitImages:
        """What is kept of each image, of the split in *folder*; *comparable*: all of them can be read again."""
        exact = np.concatenate(self._hashes)
        return SplitImages(
            folder=folder,
            labels=labels if labels is not None and labels.shape == exact.shape else None,
            hashes=exact,
            difference_hashes=np.concatenate(self._difference_hashes) if comparable else exact[:0],
            constant=np.concatenate(self._constant),
            deviations=np.concatenate(self._deviations),
        )


class Occurrences:
    """How many images have a property, and which are the first."""

    def __init__(self) -> None:
        self._count, self._examples = 0, list[int]()

    def add(self, which: NDArray[np.bool_], offset: int) -> None:
        indices = np.flatnonzero(which)
        self._count += len(indices)
        self._examples += (indices[: EXAMPLES - len(self._examples)] + offset).tolist()

    def statistics(self) -> Examples:
        return {"count": self._count, "examples": self._examples}


def _pixels(counts: NDArray[np.int64]) -> PixelStatistics | None:
    whole = moments(counts.sum(0))
    if whole is None:
        return None
    return {**_moments(whole), "channels": [_moments(channel) for channel in map(moments, counts) if channel]}


def _moments(of: Moments) -> PixelMoments:
    return {"mean": of.mean, "deviation": of.deviation, "min": of.min, "max": of.max}


def _constant(images: Array) -> NDArray[np.bool_]:
    """Which of *images* have one colour: every pixel equals the first."""
    pixels = images.reshape(len(images), -1, max(1, images.shape[-1]) if images.ndim == 4 else 1)
    same: NDArray[np.bool_] = (pixels == pixels[:, :1]).reshape(len(images), -1).all(1)
    return same


def _labels(labels: Array | None, classes: int) -> LabelStatistics:
    array: LabelArray | None = None if labels is None else {"dtype": str(labels.dtype), "shape": list(labels.shape)}
    if labels is None or labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        return {"labels": array, "histogram": None, "outside": {"count": 0, "examples": [], "values": []}}
    known = (labels >= 0) & (labels < classes)
    outside = np.flatnonzero(~known)
    return {
        "labels": array,
        "histogram": np.bincount(labels[known].astype(np.int64), minlength=classes).tolist(),
        "outside": {
            "count": len(outside),
            "examples": outside[:EXAMPLES].tolist(),
            "values": np.unique(labels[outside])[:EXAMPLES].tolist(),
        },
    }
