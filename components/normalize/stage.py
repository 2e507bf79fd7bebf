"""Normalize: hold out a validation split and fit the scaling on what is left for training."""

import json
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import NormalizedData, Scaling, SourceFile
from components.data.pixels import hashes, histogram, moments
from components.data.splits import Labels, Split, SplitWriter
from components.errors import DataRejected
from components.settings.sections import Normalize

DROPPED, TRAIN, VALIDATION = 0, 1, 2

Hashes = NDArray[np.uint64]


class Facts(TypedDict):
    images: dict[str, int]
    duplicates_removed: int
    mean: list[float]
    std: list[float]


def normalize(ingest: Path, out: Path, params: Normalize) -> Facts:
    """Write the three splits and the fitted scaling to *out*, one block of images in memory at a time.

    out/
      train/        images-*.npy  uint8 (n, H, W, C)   labels.npy  int64 (N,), the number of the class
      validation/   ...
      test/         ...  (as ingested)
      data.json     source, name, classes, shape, images {split: number}, duplicates_removed,
                    mean and std of the training pixels per channel, in units of 255

    Training images that are also in the test split are left out, and copies of an image are all in training or all in
    validation: otherwise a network could score by memorizing them. Mean and std come from the training split alone, for
    the same reason; the std of a constant channel is 1, so that it can be divided by. Raises DataRejected where a class
    has too few distinct images for both splits, or a label is outside the classes.
    """
    source: SourceFile = json.loads((ingest / "source.json").read_text(encoding="utf-8"))
    train, test = Split(ingest / "train"), Split(ingest / "test")
    for name, split in (("train", train), ("test", test)):
        _require_labels(name, split.labels, source["classes"])
    in_test = _copy_test(test, out / "test")
    assigned = assign(_hashes(train), in_test, train.labels, source["classes"], params)
    data: NormalizedData = {
        "source": source["source"],
        "name": source["name"],
        "classes": source["classes"],
        "shape": source["shape"],
        "images": {**_count(assigned, train=TRAIN, validation=VALIDATION), "test": len(test)},
        "duplicates_removed": int((assigned == DROPPED).sum()),
        **_scaling(_write(train, assigned, out)),
    }
    (out / "data.json").write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return {
        "images": data["images"],
        "duplicates_removed": data["duplicates_removed"],
        "mean": data["mean"],
        "std": data["std"],
    }


def _count(assigned: NDArray[np.int8], **splits: int) -> dict[str, int]:
    return {name: int((assigned == split).sum()) for name, split in splits.items()}


def _require_labels(name: str, labels: Labels, classes: list[str]) -> None:
    outside = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if len(outside):
        raise DataRejected(
            f"{name}: image {outside[0]} has the label {labels[outside[0]]}; expected 0 to {len(classes) - 1}, "
            "the numbers of the classes"
        )


def _copy_test(test: Split, folder: Path) -> Hashes:
    """Write the test split to *folder*; returns the hash of each image."""
    keys = [np.empty(0, np.uint64)]
    with SplitWriter(folder, test.shape) as writer:
        for images, labels in test.blocks(label="normalize: test images"):
            writer.add(images, labels)
            keys.append(hashes(images))
    return np.concatenate(keys)


def _hashes(split: Split) -> Hashes:
    blocks = split.blocks(label="normalize: looking for copies")
    return np.concatenate([np.empty(0, np.uint64), *(hashes(images) for images, _ in blocks)])


def assign(keys: Hashes, in_test: Hashes, labels: Labels, classes: list[str], params: Normalize) -> NDArray[np.int8]:
    """TRAIN, VALIDATION or DROPPED for each training image: int8 (N,).

    *keys* are the hashes of the training images, *in_test* those of the test images. `validation_share` of the distinct
    images of each class is held out, at least one and never all; copies follow the first of them. Every class has its
    own random numbers, so that new images of one class do not change the choice in the others.
    """
    _, first, image = np.unique(keys, return_index=True, return_inverse=True)
    assigned = np.full(len(first), TRAIN, np.int8)  # by distinct image
    assigned[np.isin(keys[first], in_test)] = DROPPED
    for number, name in enumerate(classes):
        distinct = np.flatnonzero((labels[first] == number) & (assigned == TRAIN))
        distinct = distinct[np.argsort(first[distinct])]
        if len(distinct) < 2:
            raise DataRejected(
                f"class {name!r} has {len(distinct)} distinct training images that are not in the test split; expected "
                "at least 2, one for training and one for validation. Add images of it or leave the class out; where "
                "ingest drew the test split, a smaller ingest.test_share leaves more"
            )
        held_out = min(max(1, int(len(distinct) * params.validation_share + 0.5)), len(distinct) - 1)
        chosen = np.random.default_rng([params.seed, number]).permutation(len(distinct))[:held_out]
        assigned[distinct[chosen]] = VALIDATION
    of_each: NDArray[np.int8] = assigned[image]
    return of_each


def _write(train: Split, assigned: NDArray[np.int8], out: Path) -> NDArray[np.int64]:
    """Write training and validation in the order of the images; returns the histogram of training: (C, 256)."""
    counts, start = np.zeros((train.shape[-1], 256), np.int64), 0
    shape = train.shape
    with SplitWriter(out / "train", shape) as training, SplitWriter(out / "validation", shape) as validation:
        for images, labels in train.blocks(label="normalize: training images"):
            here = assigned[start : start + len(images)]
            kept = images[here == TRAIN]
            counts += histogram(kept)
            training.add(kept, labels[here == TRAIN])
            validation.add(images[here == VALIDATION], labels[here == VALIDATION])
            start += len(images)
    return counts


def _scaling(counts: NDArray[np.int64]) -> Scaling:
    fitted = [moments(channel) for channel in counts]
    return {
        "mean": [m.mean / 255 for m in fitted if m],
        "std": [m.deviation / 255 or 1.0 for m in fitted if m],
    }
