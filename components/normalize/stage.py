"""Normalize: hold out a validation split and fit the scaling on what is left for training."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import NormalizedData, Scaling, SourceFile
from components.data.colour_skill import colour_skill
from components.data.held_out import held_out, places_of
from components.data.pixels import hashes, histogram, moments
from components.data.splits import Labels, Split, SplitWriter
from components.errors import DataRejected
from components.settings.sections import Normalize

DROPPED, TRAIN, VALIDATION = 0, 1, 2

SPLITS = ("train", "validation", "test")

Hashes = NDArray[np.uint64]
NONE: Hashes = np.empty(0, np.uint64)


class Facts(TypedDict):
    images: dict[str, int]
    duplicates_removed: int
    mean: list[float]
    std: list[float]
    colour_skill: float


def normalize(ingest: Path, out: Path, params: Normalize) -> Facts:
    """Write the three splits and the fitted scaling to *out*, one block of images in memory at a time.

    out/
      train/        images-*.npy  uint8 (n, H, W, C)   labels.npy  int64 (N,), the number of the class
      validation/   ...  the source's own, where it has one
      test/         ...  (as ingested)
      data.json     source, name, classes, shape, images {split: number}, duplicates_removed,
                    mean and std of the training pixels per channel, in units of 255, and colour_skill: how well the
                    colours of a training image alone predict its class (components.data.colour_skill)

    Images of training and validation that are also in the test split are left out, and copies of an image are all in
    training or all in validation: otherwise a network could score by memorizing them. Mean and std come from the
    training split alone, for the same reason; the std of a constant channel is 1, so that it can be divided by. Raises
    DataRejected where a class has too few distinct images for both splits, or a label is outside the classes.
    """
    source: SourceFile = json.loads((ingest / "source.json").read_text(encoding="utf-8"))
    splits = {name: Split(ingest / name) for name in SPLITS if (ingest / name).is_dir()}
    for name, split in splits.items():
        _require_labels(name, split.labels, source["classes"])
    train, own = splits["train"], splits.get("validation")
    elsewhere = _copy("test", splits["test"], out, NONE)
    if own:
        elsewhere = np.concatenate([elsewhere, _copy("validation", own, out, elsewhere)])
    assigned = assign(_hashes(train), elsewhere, train.labels, source["classes"], params, draw=own is None)
    counts = _write(train, assigned, out, {"train": TRAIN} if own else {"train": TRAIN, "validation": VALIDATION})
    images = {name: len(np.load(out / name / "labels.npy", allow_pickle=False)) for name in SPLITS}
    data: NormalizedData = {
        "source": source["source"],
        "name": source["name"],
        "classes": source["classes"],
        "shape": source["shape"],
        "images": images,
        "duplicates_removed": sum(map(len, splits.values())) - sum(images.values()),
        "colour_skill": round(colour_skill(Split(out / "train"), len(source["classes"])), 4),
        **_scaling(counts),
    }
    (out / "data.json").write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return {
        "images": data["images"],
        "duplicates_removed": data["duplicates_removed"],
        "mean": data["mean"],
        "std": data["std"],
        "colour_skill": data["colour_skill"],
    }


def _require_labels(name: str, labels: Labels, classes: list[str]) -> None:
    outside = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if len(outside):
        raise DataRejected(
            f"{name}: image {outside[0]} has the label {labels[outside[0]]}; expected 0 to {len(classes) - 1}, "
            "the numbers of the classes"
        )


def _copy(name: str, split: Split, out: Path, without: Hashes) -> Hashes:
    """Write *split* to *out*/*name* but for the images with a hash in *without*; returns the hashes of those written.

    Raises DataRejected where none is left.
    """
    kept = [NONE]
    with SplitWriter(out / name, split.shape) as writer:
        for images, labels in split.blocks(label=f"normalize: {name} images"):
            keys = hashes(images)
            new = ~np.isin(keys, without)
            writer.add(images[new], labels[new])
            kept.append(keys[new])
    written = np.concatenate(kept)
    if not len(written):
        raise DataRejected(f"every {name} image is in the test split too; expected some that are not")
    return written


def _hashes(split: Split) -> Hashes:
    blocks = split.blocks(label="normalize: looking for copies")
    return np.concatenate([NONE, *(hashes(images) for images, _ in blocks)])


def assign(
    keys: Hashes, elsewhere: Hashes, labels: Labels, classes: list[str], params: Normalize, *, draw: bool = True
) -> NDArray[np.int8]:
    """TRAIN, VALIDATION or DROPPED for each training image: int8 (N,).

    *keys* are the hashes of the training images, *elsewhere* those of the test images, and of the validation images
    where *draw* is false. Otherwise about `validation_share` of the distinct images of each class is held out, at least
    one and never all, by the content: another image moves none. Copies follow the first of them.
    """
    _, first, image = np.unique(keys, return_index=True, return_inverse=True)
    assigned = np.full(len(first), TRAIN, np.int8)  # by distinct image
    assigned[np.isin(keys[first], elsewhere)] = DROPPED
    for number, name in enumerate(classes):
        distinct = np.flatnonzero((labels[first] == number) & (assigned == TRAIN))
        if len(distinct) < 1 + draw:
            least = "2, one for training and one for validation" if draw else "1"
            raise DataRejected(
                f"class {name!r} has {len(distinct)} distinct training images that are in no other split; expected at "
                f"least {least}. Add images of it or leave the class out"
            )
        if not draw:
            continue
        places = places_of(keys[first[distinct]], params.seed)
        assigned[distinct[held_out(places, params.validation_share, left=1)]] = VALIDATION
    of_each: NDArray[np.int8] = assigned[image]
    return of_each


def _write(train: Split, assigned: NDArray[np.int8], out: Path, splits: Mapping[str, int]) -> NDArray[np.int64]:
    """Write *splits*, name -> what is assigned to them, in the order of the images.

    Returns the histogram of the training images: (C, 256).
    """
    counts, start = np.zeros((train.shape[-1], 256), np.int64), 0
    with ExitStack() as stack:
        writers = {name: stack.enter_context(SplitWriter(out / name, train.shape)) for name in splits}
        for images, labels in train.blocks(label="normalize: training images"):
            here = assigned[start : start + len(images)]
            counts += histogram(images[here == TRAIN])
            for name, number in splits.items():
                writers[name].add(images[here == number], labels[here == number])
            start += len(images)
    return counts


def _scaling(counts: NDArray[np.int64]) -> Scaling:
    fitted = [moments(channel) for channel in counts]
    return {
        "mean": [m.mean / 255 for m in fitted if m],
        "std": [m.deviation / 255 or 1.0 for m in fitted if m],
    }
