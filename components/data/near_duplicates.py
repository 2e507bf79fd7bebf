"""Near duplicates: copies of a photo that were saved again, resized, or made brighter.

A difference hash (dHash, N. Krawetz 2013) proposes pairs, and the correlation of their pixels decides: images of one
kind can share a hash. Of digits on black most do, so images with a side below SMALLEST are not searched. The search is
bounded whatever the images show: an image is compared with the NEIGHBOURS that follow it in each of four orders, and of
the proposed pairs the MOST_PAIRS closest are read again.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from components.progress import progress

SMALLEST = 64
BANDS, BITS = 4, 16  # hashes that differ in at most three bits have one of four bands in common
NEIGHBOURS = 12
DISTANCE = 6  # bits
STEP = 2.0  # of 255; a smaller one between neighbouring cells is noise
CELLS = 32  # at least, along each side, of which the correlation is computed
CORRELATION = 0.99
MOST_PAIRS = 5_000
PAIRS_BYTES = 32 * 2**20
PAIRS_AT_ONCE = 64  # read here and there, an image counts as up to 2 MB of memory

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]


def searched(shape: tuple[int, ...]) -> bool:
    """Whether images of *shape* (H, W, C) are large enough for a hash to distinguish them."""
    return min(shape[:2]) >= SMALLEST


def difference_hashes(images: NDArray[np.uint8]) -> Hashes:
    """A bit for each of 8 x 8 cells of *images* (n, H, W, C): whether its right neighbour is brighter. uint64 (n,)."""
    rows = images[:, :: max(1, images.shape[1] // SMALLEST)]
    bits = np.diff(_cells(rows, 8, 9).mean(-1), axis=2) > STEP
    return np.packbits(bits.reshape(len(images), 64), axis=1).view(np.uint64)[:, 0]


def _cells(images: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.float32]:
    """The mean of each channel in a grid of *rows* by *columns* cells: float32 (n, rows, columns, C)."""
    n, height, width, channels = images.shape
    tall, wide = height // rows, width // columns
    used = images[:, : rows * tall, : columns * wide].reshape(n, rows, tall, columns * wide * channels)
    bands = used.sum(2, dtype=np.uint32).reshape(n, rows, columns, wide, channels)
    means: NDArray[np.float32] = bands.sum(3, dtype=np.uint32) / np.float32(tall * wide)
    return means.astype(np.float32)


def near_pairs(
    keys: Hashes, exact: Hashes, contrast: NDArray[np.float32], read: Callable[[Indices], NDArray[np.uint8]]
) -> Indices:
    """The pairs (i, j), i < j, of images that are near duplicates and no copies: int64 (n, 2).

    *keys* are their difference hashes, *exact* the hashes of their bytes; images with one difference hash are compared
    in the order of their *contrast*. *read* returns the images of some indices.
    """
    proposed = _proposed(keys, exact, contrast)
    near = [pairs[_alike(read(pairs[:, 0]), read(pairs[:, 1]))] for pairs in _chunks(proposed, read)]
    found: Indices = np.concatenate([proposed[:0], *near])
    return found[np.lexsort((found[:, 0], found[:, 1]))]


def _proposed(keys: Hashes, exact: Hashes, contrast: NDArray[np.float32]) -> Indices:
    """Pairs whose hashes differ in at most DISTANCE bits, the closest MOST_PAIRS of those that are met."""
    met = [np.empty((0, 2), np.int64)]
    for band in range(BANDS):
        part = keys >> np.uint64(band * BITS) & np.uint64(2**BITS - 1)
        order = np.lexsort((contrast, keys, part))
        for step in range(1, min(NEIGHBOURS + 1, len(order))):
            pairs = np.stack([order[:-step], order[step:]], axis=1)
            same_band = part[pairs[:, 0]] == part[pairs[:, 1]]
            pairs = pairs[same_band & (exact[pairs[:, 0]] != exact[pairs[:, 1]])]
            met.append(_closest(keys, pairs[_distance(keys, pairs) <= DISTANCE]))
    return _closest(keys, np.unique(np.sort(np.concatenate(met), axis=1), axis=0))


def _closest(keys: Hashes, pairs: Indices) -> Indices:
    closest: Indices = pairs[np.argsort(_distance(keys, pairs), kind="stable")[:MOST_PAIRS]]
    return closest


def _distance(keys: Hashes, pairs: Indices) -> NDArray[np.uint8]:
    bits: NDArray[np.uint8] = np.bitwise_count(keys[pairs[:, 0]] ^ keys[pairs[:, 1]])
    return bits


def _chunks(pairs: Indices, read: Callable[[Indices], NDArray[np.uint8]]) -> Iterator[Indices]:
    if len(pairs):
        size = max(1, min(PAIRS_AT_ONCE, PAIRS_BYTES // read(pairs[:1, 0]).nbytes))
        with progress("validate: near duplicates", len(pairs)) as advance:
            for start in range(0, len(pairs), size):
                yield pairs[start : start + size]
                advance(min(start + size, len(pairs)))


def _alike(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of *images* and *others* (n, H, W, C) have a correlation of CORRELATION and more."""
    a, b = (_standardized(part) for part in (images, others))
    alike: NDArray[np.bool_] = np.einsum("ij,ij->i", a, b) >= CORRELATION
    return alike


def _standardized(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The cells of each image as a vector of mean 0 and length 1; of a blank image, 0."""
    height, width = (side // max(1, side // CELLS) for side in images.shape[1:3])
    vectors = _cells(images, height, width).reshape(len(images), -1)
    vectors -= vectors.mean(1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.maximum(lengths, np.float32(1e-6))
    return vectors
