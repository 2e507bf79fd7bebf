"""Accuracy under corruption: the same test images, spoilt in seven ways and five strengths.

In the manner of Hendrycks & Dietterich, Benchmarking neural network robustness (https://arxiv.org/abs/1903.12261), and
MNIST-C (https://arxiv.org/abs/1906.02337), with strengths as shares of the image's side or of the range of its pixels,
so that they mean the same at any size. Errors are plain means, not divided by those of another network.

Every corruption is a function (images, strength, dice) -> images on float32 (n, H, W, C) in 0..1, vectorised over n.
The dice of a kind fall alike at each of its strengths, and alike for every model: two models are asked about the very
same images, and a stronger noise is the same noise, stronger.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.chunks import portions
from components.data.splits import Split
from components.evaluate.image_properties import background

SEED = 20190328  # of the choice of images and of the dice; no setting, so that models stay comparable
MOST_TOGETHER = 256  # images per call of the model: measured faster than 1,024 on two cores

Pixels = NDArray[np.float32]
Dice = np.random.Generator
Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def noise(images: Pixels, strength: float, dice: Dice) -> Pixels:
    return images + np.float32(strength) * dice.standard_normal(images.shape, np.float32)


def blur(images: Pixels, strength: float, _: Dice) -> Pixels:
    """Along one axis, then the other: a product with the matrix that blurs a line."""
    rows, columns = (_blurring(side, strength * min(images.shape[1:3])) for side in images.shape[1:3])
    blurred: Pixels = np.einsum("hk,nkwc,vw->nhvc", rows, images, columns, optimize=True)
    return blurred


def shift(images: Pixels, strength: float, dice: Dice) -> Pixels:
    angle = dice.uniform(0, 2 * math.pi, len(images))
    far = strength * min(images.shape[1:3])
    return _moved(images, np.zeros(len(images)), far * np.sin(angle), far * np.cos(angle))


def rotation(images: Pixels, strength: float, dice: Dice) -> Pixels:
    still = np.zeros(len(images))
    return _moved(images, math.radians(strength) * dice.choice((-1.0, 1.0), len(images)), still, still)


def contrast(images: Pixels, strength: float, _: Dice) -> Pixels:
    mean = images.mean(axis=(1, 2), keepdims=True)
    faint: Pixels = mean + np.float32(strength) * (images - mean)
    return faint


def occlusion(images: Pixels, strength: float, dice: Dice) -> Pixels:
    """A grey square, somewhere within the image."""
    side = max(1, round(strength * min(images.shape[1:3])))
    inside = []
    for axis in (1, 2):
        start = np.floor(dice.random(len(images)) * (images.shape[axis] - side + 1))[:, None]
        along = np.arange(images.shape[axis])
        inside.append((along >= start) & (along < start + side))
    square = inside[0][:, :, None] & inside[1][:, None, :]
    return np.where(square[..., None], np.float32(0.5), images)


def lines(images: Pixels, strength: float, dice: Dice) -> Pixels:
    """Straight lines through the image, in the colour farthest from its background, a 28th of its side wide."""
    count, (height, width) = int(strength), images.shape[1:3]
    colour = np.where(background(images) < 0.5, np.float32(1), np.float32(0))[:, None, None, :]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    half = max(0.5, min(height, width) / 56)
    dice_of_lines = dice.random((5, 3, len(images), 1, 1), np.float32)  # all five, drawn or not: alike at each strength
    for angle, across, down in dice_of_lines[:count]:
        away = (x - across * (width - 1)) * np.sin(math.pi * angle) - (y - down * (height - 1)) * np.cos(
            math.pi * angle
        )
        ink = np.clip(half + 0.5 - np.abs(away), 0, 1)[..., None]
        images = images + ink * (colour - images)
    return images


@dataclass(frozen=True)
class Kind:
    """A corruption: what its five strengths are, from weak to strong."""

    name: str
    meaning: str
    strengths: tuple[float, ...]
    spoil: Callable[[Pixels, float, Dice], Pixels]


KINDS = (
    Kind(
        "noise", "standard deviation of Gaussian noise, of the range of pixels", (0.08, 0.12, 0.18, 0.26, 0.38), noise
    ),
    Kind("blur", "standard deviation of a Gaussian blur, of the side", (0.015, 0.025, 0.035, 0.05, 0.07), blur),
    Kind("shift", "distance in any direction, of the side", (0.05, 0.1, 0.15, 0.2, 0.25), shift),
    Kind("rotation", "degrees, to the left or the right", (10, 20, 30, 40, 50), rotation),
    Kind("contrast", "contrast that is left", (0.75, 0.5, 0.35, 0.2, 0.1), contrast),
    Kind("occlusion", "side of a grey square, of the image's", (0.15, 0.25, 0.35, 0.45, 0.55), occlusion),
    Kind("lines", "lines through the image", (1, 2, 3, 4, 5), lines),
)


def corrupt(images: NDArray[np.uint8], kind: Kind, strength: float, dice: Dice) -> NDArray[np.uint8]:
    """*images*, uint8 (n, H, W, C), spoilt, as uint8 again: what a camera or a scanner would deliver."""
    spoilt = kind.spoil(images.astype(np.float32) / np.float32(255), strength, dice)
    return np.ascontiguousarray(np.rint(255 * np.clip(spoilt, 0, 1)), np.uint8)


def dice(kind: Kind, block: int) -> Dice:
    """The dice of a block of images: the same at each strength of *kind*."""
    return np.random.default_rng((SEED, [k.name for k in KINDS].index(kind.name), block))


def choose(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """*most* images, each class in proportion, by lot: their indices, int64, in the order of the split; all if fewer.

    Classes take turns: ordered by how much of its class each image would complete, the first ones are taken.
    """
    order = np.random.default_rng(SEED).permutation(len(labels))
    share = np.empty(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        share[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(order[np.argsort(share[order], kind="stable")][:most])


def measure(test: Split, predict: Predict, most: int) -> dict[str, Any]:
    """The content of corruptions.json: wrong answers on up to *most* images of *test*, per kind and strength.

    {"n", "clean_wrong", "mean_error", "digest", "kinds": [{"name", "meaning", "strengths", "wrong", "error"}]}
    mean_error is the mean of all kinds and strengths; digest identifies the spoilt images: two results compare where it
    is the same. Memory is bounded by a portion of the images, whatever *most* is.
    """
    chosen = choose(test.labels, most)
    wrong = np.zeros((len(KINDS), len(KINDS[0].strengths)), np.int64)
    clean, digest = 0, hashlib.sha256()
    for number, part in enumerate(portions(chosen, test.shape, MOST_TOGETHER)):
        images, labels = test.take(part), test.labels[part]
        clean += int((predict(images).argmax(axis=1) != labels).sum())
        for i, kind in enumerate(KINDS):
            for j, strength in enumerate(kind.strengths):
                spoilt = corrupt(images, kind, strength, dice(kind, number))
                digest.update(spoilt.data)
                wrong[i, j] += int((predict(spoilt).argmax(axis=1) != labels).sum())
    n = len(chosen)
    kinds = [_told(kind, counts.tolist(), n) for kind, counts in zip(KINDS, wrong, strict=True)]
    mean = float(wrong.sum()) / (wrong.size * n)
    return {"n": n, "clean_wrong": clean, "mean_error": mean, "digest": digest.hexdigest(), "kinds": kinds}


def _told(kind: Kind, wrong: list[int], n: int) -> dict[str, Any]:
    told = {"name": kind.name, "meaning": kind.meaning, "strengths": list(kind.strengths), "wrong": wrong}
    return told | {"error": sum(wrong) / (len(wrong) * n)}


def sheet(test: Split) -> NDArray[np.uint8]:
    """One image a kind, as it is and at each strength: uint8 (kinds, 1 + strengths, H, W, C)."""
    chosen = choose(test.labels, max(len(KINDS), len(test)))
    first = chosen[np.unique(test.labels[chosen], return_index=True)[1]]  # of each class the first
    rows = []
    for number, kind in enumerate(KINDS):
        image = test.take(first[[number % len(first)]])
        rows.append([image[0], *(corrupt(image, kind, s, dice(kind, number))[0] for s in kind.strengths)])
    return np.array(rows)


def _blurring(side: int, deviation: float) -> Pixels:
    """The matrix (side, side) that blurs a line; beyond its ends the line goes on as it ends."""
    reach = 4 * math.ceil(max(deviation, 1))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(deviation, 1e-6)) ** 2)
    matrix = np.zeros((side, side))
    for offset, weight in zip(range(-reach, reach + 1), weights / weights.sum(), strict=True):
        np.add.at(matrix, (np.arange(side), np.clip(np.arange(side) + offset, 0, side - 1)), weight)
    return matrix.astype(np.float32)


def _moved(images: Pixels, angle: NDArray[np.float64], down: NDArray[np.float64], right: NDArray[np.float64]) -> Pixels:
    """Each image turned about its middle by *angle* (radians), then moved by *down* and *right* pixels, each (n,).

    Bilinear; what comes in from outside has the colour of the image's background.
    """
    n, height, width, _ = images.shape
    room = np.broadcast_to(background(images)[:, None, None, :], (n, height + 2, width + 2, images.shape[-1])).copy()
    room[:, 1:-1, 1:-1] = images
    y, x = np.mgrid[:height, :width].astype(np.float32)
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    dy, dx = (offset.astype(np.float32)[:, None, None] for offset in (down, right))
    cos, sin = (f(angle).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
    from_y = cos * (y - middle_y - dy) - sin * (x - middle_x - dx) + middle_y + 1
    from_x = sin * (y - middle_y - dy) + cos * (x - middle_x - dx) + middle_x + 1
    from_y, from_x = np.clip(from_y, 0, height + 0.999), np.clip(from_x, 0, width + 0.999)
    top, left = from_y.astype(np.intp), from_x.astype(np.intp)
    part_y, part_x = (from_y - top)[..., None], (from_x - left)[..., None]
    which = np.arange(n)[:, None, None]
    upper = room[which, top, left] * (1 - part_x) + room[which, top, left + 1] * part_x
    lower = room[which, top + 1, left] * (1 - part_x) + room[which, top + 1, left + 1] * part_x
    moved: Pixels = upper * (1 - part_y) + lower * part_y
    return moved
