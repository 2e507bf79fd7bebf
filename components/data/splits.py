"""Labelled images on disk: written and read block by block, so memory does not grow with the data.

SPLIT/
  images-00000.npy   uint8 (n, H, W, C), C 1 or 3; every shard but the last holds as many images as fit SHARD_BYTES
  images-00001.npy   ...
  labels.npy         int64 (N,)
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from components.progress import progress

SHARD_BYTES = 32 * 2**20
MAPPED_BYTES = 16 * 2**20  # taken from open maps; the kernel may count several times as much as read
CHUNK_BYTES = 32 * 2**20

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


class SplitWriter:
    """Write blocks of images to shards: `with SplitWriter(folder, shape) as out: out.add(images, labels)`."""

    def __init__(self, folder: Path, shape: tuple[int, int, int]) -> None:
        """*shape* is (H, W, C) of one image."""
        folder.mkdir(parents=True)
        self._folder, self._shape = folder, shape
        self._whole = max(1, SHARD_BYTES // math.prod(shape))  # images of a shard
        self._filled = self._shards = 0
        self._file: BinaryIO | None = None  # the shard that is being filled
        self._labels: list[Labels] = []

    def add(self, images: Images, labels: Labels) -> None:
        """Append *images*, uint8 (n, H, W, C), and their *labels*, int64 (n,)."""
        if images.shape[1:] != self._shape or images.dtype != np.uint8 or len(images) != len(labels):
            raise ValueError(f"{images.dtype} {images.shape} and {len(labels)} labels; expected uint8 {self._shape}")
        self._labels.append(labels.astype(np.int64))
        while len(images):
            part = images[: self._whole - self._filled]
            (self._file or self._begin()).write(np.ascontiguousarray(part).data)
            self._filled += len(part)
            images = images[len(part) :]
            if self._filled == self._whole:
                self._end()

    def _begin(self) -> BinaryIO:
        """A new shard, as `np.save` writes one that is whole."""
        self._file = (self._folder / f"images-{self._shards:05}.npy").open("wb")
        self._file.write(self._header(self._whole))
        return self._file

    def _header(self, images: int) -> bytes:
        """That of `np.save`, which has the same length for every number of *images*."""
        header, kind = BytesIO(), np.lib.format.dtype_to_descr(np.dtype(np.uint8))
        description = {"descr": kind, "fortran_order": False, "shape": (images, *self._shape)}
        np.lib.format.write_array_header_1_0(header, description)
        return header.getvalue()

    def _end(self) -> None:
        """Close the shard, which says how many images it has."""
        file = self._file or self._begin()
        if self._filled < self._whole:
            file.seek(0)
            file.write(self._header(self._filled))
        self._close()
        self._filled, self._shards = 0, self._shards + 1

    def _close(self) -> None:
        if self._file:
            file, self._file = self._file, None
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            with suppress(OSError):  # the first failure says more
                self._close()
            return
        if self._filled or not self._shards:
            self._end()
        np.save(self._folder / "labels.npy", np.concatenate([np.empty(0, np.int64), *self._labels]))


class Split:
    """A written split: labels in memory, images as one memory map per shard, opened when they are read.

    `take` keeps the maps open for some batches: to open those of a batch takes ten times as long as to copy its images,
    and whatever was read from an open map counts as memory of the process.
    """

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(folder.glob("images-*.npy"))
        self._maps: dict[int, Images] = {}
        self._taken = 0  # bytes, since the maps were closed
        self.labels: Labels = np.load(folder / "labels.npy", allow_pickle=False)
        first = self._open(0)
        self.shape: tuple[int, int, int] = first.shape[1:]
        self._shard_images = len(first)

    def __len__(self) -> int:
        return len(self.labels)

    def _open(self, shard: int) -> Images:
        images: Images = np.load(self._paths[shard], mmap_mode="r", allow_pickle=False)
        return images

    def blocks(self, size: int = 4096, label: str = "") -> Iterator[tuple[Images, Labels]]:
        """Yield (images, labels) of at most *size* images in order; the images are copies that can be changed.

        With a *label* the progress is shown.
        """
        start = 0
        with progress(label, len(self)) if label else nullcontext() as advance:
            for shard in range(len(self._paths)):
                images = self._open(shard)
                for offset in range(0, len(images), size):
                    block = np.array(images[offset : offset + size])
                    yield block, self.labels[start + offset : start + offset + len(block)]
                    if advance:
                        advance(start + offset + len(block))
                start += len(images)

    def take(self, indices: NDArray[np.int64]) -> Images:
        """The images at *indices*, in that order: uint8 (len(indices), H, W, C)."""
        out = np.empty((len(indices), *self.shape), np.uint8)
        self._taken += out.nbytes
        if self._taken > MAPPED_BYTES:
            self.close()
        shards = indices // self._shard_images
        for shard in np.unique(shards):
            here = shards == shard
            out[here] = self._kept_open(int(shard))[indices[here] - shard * self._shard_images]
        return out

    def close(self) -> None:
        """Close the maps that `take` keeps open: an image that is read here and there counts as up to 2 MB."""
        self._maps, self._taken = {}, 0

    def _kept_open(self, shard: int) -> Images:
        if shard not in self._maps:
            self._maps[shard] = self._open(shard)
        return self._maps[shard]

    def images(self) -> Images:
        """Every image in one array: uint8 (N, H, W, C)."""
        return np.concatenate([self._open(shard) for shard in range(len(self._paths))])


def chunks(indices: NDArray[np.int64], shape: Sequence[int], most: int) -> Iterator[NDArray[np.int64]]:
    """*indices* of images of *shape* (H, W, C) in order, at most *most* at once, and CHUNK_BYTES of float32 pixels."""
    size = min(most, max(1, CHUNK_BYTES // (4 * math.prod(shape))))
    yield from (indices[start : start + size] for start in range(0, len(indices), size))
