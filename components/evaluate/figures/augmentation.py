"""The figure of augmented training images: the same images and strengths give the same bytes."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.data.augmentation.transforms import augmenter
from components.data.pixels import deviations
from components.data.splits import Split

ROWS, VERSIONS = 5, 8
SEEN = 16  # images of a class, of which one is shown
TILE, GAP, MARGIN, WHITE = 112, 8, 32, 255  # pixels; the margin parts the originals from their versions
SEED = np.array([0, 0], np.int64)


def draw(images: Path, summary: Path, out: Path) -> None:
    """Write a row for each of five classes to the PNG file *out*: an image and eight augmented versions of it.

    *images* is the training split; *summary* is train's summary.json, which says how it augmented them. Without
    augmentation nothing is drawn.
    """
    text = json.loads(summary.read_text()).get("augment", "")
    if not text:
        return
    split = Split(images)
    if augment := augmenter(split.shape, text):
        originals = split.take(_class_representatives(split))
        versions = augment(np.repeat(originals, VERSIONS, axis=0), SEED).numpy()
        rows = zip(originals, versions.reshape(len(originals), VERSIONS, *split.shape), strict=True)
        _page([[_tile(image) for image in (original, *changed)] for original, changed in rows]).save(out)


def _class_representatives(split: Split) -> NDArray[np.int64]:
    """The index of an image of each of ROWS classes, spread evenly over all: the first that is not blank."""
    classes = np.unique(split.labels)
    shown = classes[np.linspace(0, len(classes) - 1, min(ROWS, len(classes))).astype(np.int64)]
    return np.array([_representative(split, np.flatnonzero(split.labels == number)[:SEEN]) for number in shown])


def _representative(split: Split, candidates: NDArray[np.int64]) -> int:
    varied = deviations(split.take(candidates))
    return int(candidates[np.argmax(varied >= varied.max() / 2)])


def _tile(pixels: NDArray[np.uint8]) -> Image.Image:
    """The image (H, W, C), enlarged by an integer factor so that each pixel is seen, or shrunk to a side of TILE."""
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).convert("RGB")
    side = max(image.size)
    if side > TILE:
        return image.resize([max(1, TILE * length // side) for length in image.size], Image.Resampling.BOX)
    return image.resize([TILE // side * length for length in image.size], Image.Resampling.NEAREST)


def _page(rows: list[list[Image.Image]]) -> Image.Image:
    width, height = (side + GAP for side in rows[0][0].size)
    page = Image.new("RGB", ((1 + VERSIONS) * width - GAP + MARGIN, len(rows) * height - GAP), (WHITE,) * 3)
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            page.paste(tile, (x * width + MARGIN * (x > 0), y * height))
    return page
