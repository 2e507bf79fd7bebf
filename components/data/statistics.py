"""The statistics of ingested images. Measures only, and trusts nothing: what it cannot read it records.

statistics.json
{
  "source", "name", "classes", "shape"           as ingest declares them
  "splits": {"train": {
    "images": 60000,
    "kinds": [{"dtype", "shape", "images", "first"}]      every kind of image that there is; one, in sound data
    "unreadable": ["images-00001.npy", ...]
    "labels": {"dtype", "shape"} or null
    "outside": {"count", "examples", "values"}            labels of no class
    "histogram": [5923, ...] or null                      images per class; null where the labels are no whole numbers
    "pixels": {"mean", "deviation", "min", "max", "channels": [{...}, ...]} or null       0..255, exact
    "constant": {"count", "examples"}                     images of one colour
    "nan": {"count", "examples"}                          images with a value that is no number
    "duplicates": {"count", "examples": [[first, copy]]}  images that repeat an earlier one of the split
    "contradictions": {"count", "examples": [[i, j]]}     copies of an image under another label
  }, "test": {...}},
  "leaked": {"count", "examples": [[test, train], ...]}   test images that are in training too
}
Examples are the indices of the first EXAMPLES images found.
"""

import json
from dataclasses import asdict
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.pixels import hashes, histogram, moments
from components.progress import progress

EXAMPLES = 10
BLOCK = 4096
SPLITS = ("train", "test")

UNREADABLE = (OSError, ValueError, EOFError, SyntaxError, TypeError, OverflowError, TokenError)  # NumPy parses a header

Keys = NDArray[np.uint64]


def measure(ingest: Path) -> dict[str, Any]:
    """The statistics of the images in the artifact of *ingest*, laid out as above."""
    source = json.loads((ingest / "source.json").read_text(encoding="utf-8"))
    declared = {key: source[key] for key in ("source", "name", "classes", "shape")}
    measured = {name: measure_split(ingest / name, source["classes"], source["shape"]) for name in SPLITS}
    splits = {name: statistics for name, (statistics, _) in measured.items()}
    return declared | {"splits": splits, "leaked": _leaked(measured["test"][1], measured["train"][1])}


def measure_split(folder: Path, classes: list[str], shape: list[int]) -> tuple[dict[str, Any], Keys]:
    """The statistics of the split in *folder*, and the hash of each of its images."""
    tally = Tally(shape)
    unreadable = []
    shards = sorted(folder.glob("images-*.npy"))
    with progress(f"validate: shards of {folder.name}", len(shards)) as advance:
        for number, path in enumerate(shards, 1):
            if (images := _open(path)) is None:
                unreadable.append(path.name)
                continue
            for start in range(0, len(images), BLOCK):
                tally.add(np.array(images[start : start + BLOCK]))
            advance(number)
    labels = _open(folder / "labels.npy")
    if labels is None:
        unreadable.append("labels.npy")
    if not shards:
        unreadable.append("images-00000.npy")
    keys = np.concatenate([np.empty(0, np.uint64), *tally.keys])
    return tally.statistics() | {"unreadable": unreadable} | _labels(labels, len(classes)) | _copies(keys, labels), keys


def _open(path: Path) -> NDArray[Any] | None:
    """The array in *path*, mapped; None where there is no whole array with a first dimension."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except UNREADABLE:
        return None
    return array if isinstance(array, np.ndarray) and array.ndim else None


class Tally:
    """What is counted about images, block by block."""

    def __init__(self, shape: list[int]) -> None:
        self.keys: list[Keys] = []
        self._declared, self._seen = ("uint8", tuple(shape)), 0
        self._kinds: dict[tuple[str, tuple[int, ...]], dict[str, Any]] = {}
        self._counts = np.zeros((shape[-1], 256), np.int64)
        self._constant, self._nan = Found(), Found()

    def add(self, images: NDArray[Any]) -> None:
        """Count *images* (n, ...), of whatever dtype and shape they are."""
        kind = (str(images.dtype), images.shape[1:])
        new = {"dtype": kind[0], "shape": list(kind[1]), "images": 0, "first": self._seen}
        self._kinds.setdefault(kind, new)["images"] += len(images)
        if kind == self._declared:
            self._counts += histogram(images)
        self._constant.add(_constant(images), self._seen)
        if np.issubdtype(images.dtype, np.inexact):
            self._nan.add(np.isnan(images).reshape(len(images), -1).any(1), self._seen)
        self.keys.append(hashes(images))
        self._seen += len(images)

    def statistics(self) -> dict[str, Any]:
        whole = moments(self._counts.sum(0))
        channels = [asdict(m) for m in map(moments, self._counts) if m]
        return {
            "images": self._seen,
            "kinds": list(self._kinds.values()),
            "pixels": asdict(whole) | {"channels": channels} if whole else None,
            "constant": self._constant.statistics(),
            "nan": self._nan.statistics(),
        }


class Found:
    """How many images have something about them, and which the first are."""

    def __init__(self) -> None:
        self._count, self._examples = 0, list[int]()

    def add(self, which: NDArray[np.bool_], offset: int) -> None:
        indices = np.flatnonzero(which)
        self._count += len(indices)
        self._examples += (indices[: EXAMPLES - len(self._examples)] + offset).tolist()

    def statistics(self) -> dict[str, Any]:
        return {"count": self._count, "examples": self._examples}


def _constant(images: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of *images* have one colour: every pixel is like the first."""
    pixels = images.reshape(len(images), -1, max(1, images.shape[-1]) if images.ndim == 4 else 1)
    same: NDArray[np.bool_] = (pixels == pixels[:, :1]).reshape(len(images), -1).all(1)
    return same


def _labels(labels: NDArray[Any] | None, classes: int) -> dict[str, Any]:
    nothing: dict[str, Any] = {"count": 0, "examples": [], "values": []}
    described = None if labels is None else {"dtype": str(labels.dtype), "shape": list(labels.shape)}
    if labels is None or labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        return {"labels": described, "histogram": None, "outside": nothing}
    known = (labels >= 0) & (labels < classes)
    outside = np.flatnonzero(~known)
    found = {"count": len(outside), "examples": outside[:EXAMPLES].tolist()}
    return {
        "labels": described,
        "histogram": np.bincount(labels[known].astype(np.int64), minlength=classes).tolist(),
        "outside": found | {"values": np.unique(labels[outside])[:EXAMPLES].tolist()},
    }


def _copies(keys: Keys, labels: NDArray[Any] | None) -> dict[str, Any]:
    """Images that repeat an earlier one: sorted by hash (and then by index), copies lie next to each other."""
    order = np.argsort(keys, kind="stable")
    repeats = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    pairs = np.stack([order[repeats], order[repeats + 1]], axis=1)
    statistics = {"duplicates": _pairs(pairs), "contradictions": _pairs(pairs[:0])}
    if labels is not None and labels.shape == keys.shape:
        statistics["contradictions"] = _pairs(pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]])
    return statistics


def _leaked(test: Keys, train: Keys) -> dict[str, Any]:
    """Test images that are in training too, each with the first such training image."""
    order = np.argsort(train, kind="stable")
    place = np.minimum(np.searchsorted(train, test, sorter=order), max(len(train) - 1, 0))
    twin = order[place] if len(train) else np.zeros(len(test), np.int64)
    leaked = np.flatnonzero(train[twin] == test) if len(train) else np.empty(0, np.int64)
    return _pairs(np.stack([leaked, twin[leaked]], axis=1))


def _pairs(pairs: NDArray[np.int64]) -> dict[str, Any]:
    return {"count": len(pairs), "examples": pairs[np.argsort(pairs[:, 1])][:EXAMPLES].tolist()}
