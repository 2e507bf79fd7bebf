"""Normalize: hold out a validation split and fit the scaling on what is left for training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.pixels import hashes, histogram, moments
from components.data.splits import Labels, Split, SplitWriter
from components.errors import DataRejected
from components.settings.sections import Normalize

DROPPED, TRAIN, VALIDATION = 0, 1, 2


def normalize(ingest: Path, out: Path, params: Normalize) -> dict[str, Any]:
    """Write the three splits and the fitted scaling to *out*, one block of images in memory at a time.

    out/
      train/        images-*.npy  uint8 (n, H, W, C)   labels.npy  int64 (N,), the number of the class
      validation/   ...
      test/         ...  (as ingested)
      data.json     source, name, classes, shape, images {split: number}, duplicates_removed,
                    mean and std of the training pixels per channel, in units of 255

    Training images that are in the test split too are left out, and copies of one image stay on one side of the
    line between training and validation: an image on both sides would be judged by memory. Mean and std come from
    the training part alone, for the same reason; the std of a channel that never changes is given as 1, so that
    dividing by it is safe. Raises DataRejected where a class has too few distinct images to be on both sides, or a
    label is of no class.
    """
    source = json.loads((ingest / "source.json").read_text(encoding="utf-8"))
    train, test = Split(ingest / "train"), Split(ingest / "test")
    for name, split in (("train", train), ("test", test)):
        _require_known(name, split.labels, source["classes"])
    in_test = _copy_test(test, out / "test")
    sides = assign(_hashes(train), in_test, train.labels, source["classes"], params)
    counts = _write(train, sides, out)
    scaling = _scaling(counts)
    images = {"train": int((sides == TRAIN).sum()), "validation": int((sides == VALIDATION).sum()), "test": len(test)}
    removed = int((sides == DROPPED).sum())
    data = {key: source[key] for key in ("source", "name", "classes", "shape")}
    data |= {"images": images, "duplicates_removed": removed, **scaling}
    (out / "data.json").write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return {"images": images, "duplicates_removed": removed, **scaling}


def _require_known(name: str, labels: Labels, classes: list[str]) -> None:
    outside = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if len(outside):
        raise DataRejected(
            f"{name}: image {outside[0]} has the label {labels[outside[0]]}; expected 0 to {len(classes) - 1}, "
            "the numbers of the classes"
        )


def _copy_test(test: Split, folder: Path) -> NDArray[np.uint64]:
    found = [np.empty(0, np.uint64)]
    with SplitWriter(folder, test.shape) as writer:
        for images, labels in test.blocks(label="normalize: test images"):
            writer.add(images, labels)
            found.append(hashes(images))
    return np.concatenate(found)


def _hashes(split: Split) -> NDArray[np.uint64]:
    return np.concatenate(
        [np.empty(0, np.uint64), *(hashes(images) for images, _ in split.blocks(label="normalize: looking for copies"))]
    )


def assign(
    keys: NDArray[np.uint64], in_test: NDArray[np.uint64], labels: Labels, classes: list[str], params: Normalize
) -> NDArray[np.int8]:
    """TRAIN, VALIDATION or DROPPED for each training image: int8 (N,).

    *keys* are the hashes of the training images, *in_test* those of the test images. Each class gives
    `validation_share` of its distinct images, at least one and never all; copies follow the first of their kind.
    Every class has random numbers of its own, so that one class growing does not choose anew in the others.
    """
    _, first, kind = np.unique(keys, return_index=True, return_inverse=True)
    side_of_kind = np.full(len(first), TRAIN, np.int8)
    side_of_kind[np.isin(keys[first], in_test)] = DROPPED
    for number, name in enumerate(classes):
        kinds = np.flatnonzero((labels[first] == number) & (side_of_kind == TRAIN))
        kinds = kinds[np.argsort(first[kinds])]
        if len(kinds) < 2:
            raise DataRejected(
                f"class {name!r} has {len(kinds)} distinct training images that are not in the test split; expected at "
                "least 2, one to train and one to validate on. Add images of it or leave the class out"
            )
        held_out = min(max(1, int(len(kinds) * params.validation_share + 0.5)), len(kinds) - 1)
        chosen = np.random.default_rng([params.seed, number]).permutation(len(kinds))[:held_out]
        side_of_kind[kinds[chosen]] = VALIDATION
    sides: NDArray[np.int8] = side_of_kind[kind]
    return sides


def _write(train: Split, sides: NDArray[np.int8], out: Path) -> NDArray[np.int64]:
    """Write both sides in the order of the images; returns how often each value occurs in training: (C, 256)."""
    counts, start = np.zeros((train.shape[-1], 256), np.int64), 0
    shape = train.shape
    with SplitWriter(out / "train", shape) as training, SplitWriter(out / "validation", shape) as validation:
        for images, labels in train.blocks(label="normalize: training images"):
            here = sides[start : start + len(images)]
            kept = images[here == TRAIN]
            counts += histogram(kept)
            training.add(kept, labels[here == TRAIN])
            validation.add(images[here == VALIDATION], labels[here == VALIDATION])
            start += len(images)
    return counts


def _scaling(counts: NDArray[np.int64]) -> dict[str, list[float]]:
    fitted = [moments(channel) for channel in counts]
    return {
        "mean": [m.mean / 255 for m in fitted if m],
        "std": [m.deviation / 255 or 1.0 for m in fitted if m],
    }
