"""Robustness to corruption: the same test images, corrupted in seven ways and five strengths.

After Hendrycks & Dietterich, Benchmarking neural network robustness (https://arxiv.org/abs/1903.12261), and
MNIST-C (https://arxiv.org/abs/1906.02337), with strengths as shares of the image's side or of the range of its pixels,
so that they mean the same at any size. Errors are plain means, not divided by those of another network.

Every corruption is a function (images, strength, rng) -> images on float32 (n, H, W, C) in 0..1, vectorised over n. Its
random numbers are the same at each strength and for every model: every model sees the same corrupted images, and a
stronger noise is the same noise, stronger.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import CorruptionKind, Corruptions
from components.data.splits import Split, chunks
from components.evaluate.image_properties import Pixels, background
from components.models.prediction import Predictor

SEED = 20190328  # of the choice of images and of the corruptions; no setting, so that models stay comparable
CHUNK = 256  # images per call of the model: measured faster than 1,024 on two cores


def noise(images: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    return images + np.float32(strength) * rng.standard_normal(images.shape, np.float32)


def blur(images: Pixels, strength: float, _: np.random.Generator) -> Pixels:
    """A separable Gaussian blur: along one axis, then the other."""
    rows, columns = (_blur_matrix(side, strength * min(images.shape[1:3])) for side in images.shape[1:3])
    blurred: Pixels = np.einsum("hk,nkwc,vw->nhvc", rows, images, columns, optimize=True)
    return blurred


def shift(images: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    angle = rng.uniform(0, 2 * math.pi, len(images))
    distance = strength * min(images.shape[1:3])
    return _move(images, np.zeros(len(images)), distance * np.sin(angle), distance * np.cos(angle))


def rotation(images: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    still = np.zeros(len(images))
    return _move(images, math.radians(strength) * rng.choice((-1.0, 1.0), len(images)), still, still)


def contrast(images: Pixels, strength: float, _: np.random.Generator) -> Pixels:
    mean = images.mean(axis=(1, 2), keepdims=True)
    flatter: Pixels = mean + np.float32(strength) * (images - mean)
    return flatter


def occlusion(images: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """A grey square, somewhere within the image."""
    side = max(1, round(strength * min(images.shape[1:3])))
    inside = []
    for axis in (1, 2):
        start = np.floor(rng.random(len(images)) * (images.shape[axis] - side + 1))[:, None]
        along = np.arange(images.shape[axis])
        inside.append((along >= start) & (along < start + side))
    square = inside[0][:, :, None] & inside[1][:, None, :]
    return np.where(square[..., None], np.float32(0.5), images)


def lines(images: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Straight lines through the image, in the colour farthest from its background, a 28th of its side wide."""
    count, (height, width) = int(strength), images.shape[1:3]
    colour = np.where(background(images) < 0.5, np.float32(1), np.float32(0))[:, None, None, :]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    half = max(0.5, min(height, width) / 56)
    drawn = rng.random((5, 3, len(images), 1, 1), np.float32)  # always five lines: equal ones at each strength
    for angle, across, down in drawn[:count]:
        distance = (x - across * (width - 1)) * np.sin(math.pi * angle) - (y - down * (height - 1)) * np.cos(
            math.pi * angle
        )
        ink = np.clip(half + 0.5 - np.abs(distance), 0, 1)[..., None]
        images = images + ink * (colour - images)
    return images


@dataclass(frozen=True)
class Kind:
    """A corruption and its five strengths, from weak to strong; *meaning* says what a strength is."""

    name: str
    meaning: str
    strengths: tuple[float, ...]
    apply: Callable[[Pixels, float, np.random.Generator], Pixels]


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


def corrupt(images: NDArray[np.uint8], kind: Kind, strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """*images*, uint8 (n, H, W, C), corrupted, as uint8 again: what a camera or a scanner would deliver."""
    corrupted = kind.apply(images.astype(np.float32) / np.float32(255), strength, rng)
    return np.ascontiguousarray(np.rint(255 * np.clip(corrupted, 0, 1)), np.uint8)


def generator(kind: Kind, block: int) -> np.random.Generator:
    """The random numbers for a block of images: the same at each strength of *kind*."""
    return np.random.default_rng((SEED, [k.name for k in KINDS].index(kind.name), block))


def choose(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """*most* images at random, each class in proportion: their indices, int64, in the order of the split; all if fewer.

    The images are ranked by the share of their class that has been taken with them, and the first ones are chosen.
    """
    order = np.random.default_rng(SEED).permutation(len(labels))
    share = np.empty(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        share[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(order[np.argsort(share[order], kind="stable")][:most])


def measure(test: Split, predict: Predictor, most: int) -> Corruptions:
    """The content of corruptions.json: misclassified among up to *most* images of *test*, by kind and strength.

    mean_error is the mean over kinds and strengths; digest identifies the corrupted images: results compare only where
    it is equal. Memory is bounded by a chunk of the images, whatever *most* is.
    """
    chosen = choose(test.labels, most)
    wrong = np.zeros((len(KINDS), len(KINDS[0].strengths)), np.int64)
    clean, digest = 0, hashlib.sha256()
    for number, part in enumerate(chunks(chosen, test.shape, CHUNK)):
        images, labels = test.take(part), test.labels[part]
        clean += int((predict(images).argmax(axis=1) != labels).sum())
        for place, corrupted in zip(np.ndindex(wrong.shape), _corrupted(images, number), strict=True):
            digest.update(corrupted.data)
            wrong[place] += int((predict(corrupted).argmax(axis=1) != labels).sum())
    n = len(chosen)
    kinds = [_row(kind, counts.tolist(), n) for kind, counts in zip(KINDS, wrong, strict=True)]
    mean = float(wrong.sum()) / (wrong.size * n)
    return {"n": n, "clean_wrong": clean, "mean_error": mean, "digest": digest.hexdigest(), "kinds": kinds}


def _corrupted(images: NDArray[np.uint8], block: int) -> Iterator[NDArray[np.uint8]]:
    """*images* corrupted in every kind and strength, each made in a thread while the reader is at the one before."""
    with ThreadPoolExecutor(1) as thread:
        begun = (
            thread.submit(corrupt, images, k, strength, generator(k, block)) for k in KINDS for strength in k.strengths
        )
        for corrupted, _ in pairwise(chain(begun, [None])):
            assert corrupted
            yield corrupted.result()


def _row(kind: Kind, wrong: list[int], n: int) -> CorruptionKind:
    return {
        "name": kind.name,
        "meaning": kind.meaning,
        "strengths": list(kind.strengths),
        "wrong": wrong,
        "error": sum(wrong) / (len(wrong) * n),
    }


def sheet(test: Split) -> NDArray[np.uint8]:
    """One image for each kind, uncorrupted and at each strength: uint8 (kinds, 1 + strengths, H, W, C)."""
    chosen = choose(test.labels, max(len(KINDS), len(test)))
    first = chosen[np.unique(test.labels[chosen], return_index=True)[1]]  # the first image of each class
    rows = []
    for number, kind in enumerate(KINDS):
        image = test.take(first[[number % len(first)]])
        rows.append([image[0], *(corrupt(image, kind, s, generator(kind, number))[0] for s in kind.strengths)])
    return np.array(rows)


def _blur_matrix(side: int, deviation: float) -> Pixels:
    """The matrix (side, side) that blurs a line; beyond its ends the line goes on as it ends."""
    reach = 4 * math.ceil(max(deviation, 1))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(deviation, 1e-6)) ** 2)
    matrix = np.zeros((side, side))
    for offset, weight in zip(range(-reach, reach + 1), weights / weights.sum(), strict=True):
        np.add.at(matrix, (np.arange(side), np.clip(np.arange(side) + offset, 0, side - 1)), weight)
    return matrix.astype(np.float32)


def _move(images: Pixels, angle: NDArray[np.float64], down: NDArray[np.float64], right: NDArray[np.float64]) -> Pixels:
    """Each image rotated about its centre by *angle* (radians), then shifted by *down* and *right* pixels, each (n,).

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
