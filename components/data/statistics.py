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
    "nan": {"count", "examples"}                          images with a NaN value
    "duplicates": {"count", "examples": [[first, copy]]}  images that repeat an earlier one of the split
    "contradictions": {"count", "examples": [[i, j]]}     copies of an image under another label
  }, "test": {...}},
  "leaked": {"count", "examples": [[test, train], ...]}   test images that are in training too
}
Examples are the indices of the first EXAMPLES images.
"""

import json
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import (
    ArrayKind,
    CopyStatistics,
    Examples,
    ImageStatistics,
    LabelArray,
    LabelStatistics,
    Pairs,
    PixelMoments,
    PixelStatistics,
    SourceFile,
    SplitStatistics,
    Statistics,
)
from components.data.pixels import Moments, hashes, histogram, moments
from components.progress import progress

EXAMPLES = 10
BLOCK = 4096
SPLITS = ("train", "test")

UNREADABLE = (OSError, ValueError, EOFError, SyntaxError, TypeError, OverflowError, TokenError)  # NumPy parses a header

Hashes = NDArray[np.uint64]
Array = NDArray[Any]  # of whatever dtype a file holds


def compute_statistics(ingest: Path) -> Statistics:
    """The statistics of the images in the artifact of *ingest*, laid out as above."""
    source: SourceFile = json.loads((ingest / "source.json").read_text(encoding="utf-8"))
    measured = {name: split_statistics(ingest / name, source["classes"], source["shape"]) for name in SPLITS}
    return {
        "source": source["source"],
        "name": source["name"],
        "classes": source["classes"],
        "shape": source["shape"],
        "splits": {name: statistics for name, (statistics, _) in measured.items()},
        "leaked": _leaked(measured["test"][1], measured["train"][1]),
    }


def split_statistics(folder: Path, classes: list[str], shape: list[int]) -> tuple[SplitStatistics, Hashes]:
    """The statistics of the split in *folder*, and the hash of each of its images."""
    images, unreadable = _tally(folder, shape)
    labels = _open(folder / "labels.npy")
    if labels is None:
        unreadable.append("labels.npy")
    keys = np.concatenate([np.empty(0, np.uint64), *images.hashes])
    return {
        **images.statistics(),
        "unreadable": unreadable,
        **_labels(labels, len(classes)),
        **_copies(keys, labels),
    }, keys


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
        self.hashes: list[Hashes] = []
        self._declared, self._seen = ("uint8", tuple(shape)), 0
        self._kinds: dict[tuple[str, tuple[int, ...]], ArrayKind] = {}
        self._counts = np.zeros((shape[-1], 256), np.int64)
        self._constant, self._nan = Occurrences(), Occurrences()

    def add(self, images: NDArray[Any]) -> None:
        """Count *images* (n, ...) of any dtype and shape."""
        kind = (str(images.dtype), images.shape[1:])
        new: ArrayKind = {"dtype": kind[0], "shape": list(kind[1]), "images": 0, "first": self._seen}
        self._kinds.setdefault(kind, new)["images"] += len(images)
        if kind == self._declared:
            self._counts += histogram(images)
        self._constant.add(_constant(images), self._seen)
        if np.issubdtype(images.dtype, np.inexact):
            self._nan.add(np.isnan(images).reshape(len(images), -1).any(1), self._seen)
        self.hashes.append(hashes(images))
        self._seen += len(images)

    def statistics(self) -> ImageStatistics:
        return {
            "images": self._seen,
            "kinds": list(self._kinds.values()),
            "pixels": _pixels(self._counts),
            "constant": self._constant.statistics(),
            "nan": self._nan.statistics(),
        }


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


def _copies(keys: Hashes, labels: Array | None) -> CopyStatistics:
    """Images that repeat an earlier one: sorted by hash (and then by index), copies lie next to each other."""
    order = np.argsort(keys, kind="stable")
    repeats = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    pairs = np.stack([order[repeats], order[repeats + 1]], axis=1)
    contradicting = pairs[:0]
    if labels is not None and labels.shape == keys.shape:
        contradicting = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]]
    return {"duplicates": _pairs(pairs), "contradictions": _pairs(contradicting)}


def _leaked(test: Hashes, train: Hashes) -> Pairs:
    """Test images that are in training too, each with the first such training image."""
    order = np.argsort(train, kind="stable")
    place = np.minimum(np.searchsorted(train, test, sorter=order), max(len(train) - 1, 0))
    twin = order[place] if len(train) else np.zeros(len(test), np.int64)
    leaked = np.flatnonzero(train[twin] == test) if len(train) else np.empty(0, np.int64)
    return _pairs(np.stack([leaked, twin[leaked]], axis=1))


def _pairs(pairs: NDArray[np.int64]) -> Pairs:
    return {"count": len(pairs), "examples": pairs[np.argsort(pairs[:, 1])][:EXAMPLES].tolist()}
