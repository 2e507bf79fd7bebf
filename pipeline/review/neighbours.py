"""The training images that look most like an image: by their pixels, in a coarse grid, whatever their brightness.

Each image is a vector of the means of at most 16 x 16 cells, without its mean and of length 1; the nearest have the
largest dot products. That is quick and loads no network; what a network sees is compared by evaluate, for the training
split (components/evaluate/training_labels.py).
"""

import math
import threading
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Images, Split

CELLS = 16  # along a side, at most
MOST = 20_000  # training images that are compared, evenly drawn
BLOCK = 1024

Vectors = NDArray[np.float32]


class Neighbour(NamedTuple):
    """A training image by its position, and its likeness: the correlation of the two grids, at most 1."""

    position: int
    likeness: float


class Neighbours:
    """Of the images of one split, which is read at the first question; any thread may ask."""

    def __init__(self, split: Split) -> None:
        self._split, self._lock = split, threading.Lock()
        self._vectors: Vectors | None = None
        self._drawn = np.linspace(0, len(split) - 1, min(len(split), MOST)).astype(np.int64)

    def of(self, image: Images, count: int, without: Collection[int] = ()) -> list[Neighbour]:
        """The *count* nearest to *image*, uint8 (H, W, C), the nearest first; none at the positions *without*."""
        likenesses = self._all() @ vectors(image[None])[0]
        others = np.flatnonzero(~np.isin(self._drawn, list(without)))
        nearest = others[np.argsort(-likenesses[others], kind="stable")[:count]]
        return [Neighbour(int(self._drawn[place]), float(likenesses[place])) for place in nearest]

    def _all(self) -> Vectors:
        with self._lock:
            if self._vectors is None:
                blocks = (self._drawn[start : start + BLOCK] for start in range(0, len(self._drawn), BLOCK))
                self._vectors = np.concatenate([vectors(self._split.take(block)) for block in blocks])
            return self._vectors


def vectors(images: Images) -> Vectors:
    """float32 (n, cells), of *images* uint8 (n, H, W, C); of a blank image, 0."""
    n, height, width, channels = images.shape
    tall, wide = (math.ceil(side / CELLS) for side in (height, width))
    rows, columns = height // tall, width // wide
    used = images[:, : rows * tall, : columns * wide].reshape(n, rows, tall, columns, wide, channels)
    cells = used.mean((2, 4), dtype=np.float32).reshape(n, -1)
    cells -= cells.mean(1, keepdims=True)
    lengths = np.linalg.norm(cells, axis=1, keepdims=True)
    of_length_one: Vectors = cells / np.maximum(lengths, np.float32(1e-6))
    return of_length_one
