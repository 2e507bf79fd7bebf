"""Pictures, read block by block in their order, on all cores."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from components.artifact_files import ModelInfo
from components.data.pictures import decode_workers
from components.data.pictures.decode_workers import Job
from components.data.pictures.decoding import resized
from components.data.pictures.idx_format import IdxFile
from components.data.splits import Images
from components.inference.pictures import resizing_of, shape_of
from components.system.processor import cores

JOB_FILES, JOB_BYTES = 256, 4 * 2**20  # of the files, and of their pixels
MEMORY_PER_BYTE = 20  # that decoding takes for each byte of a file; photographs are compressed less


class Name(NamedTuple):
    """A picture: its file, and its number in an IDX file, from 0 on."""

    file: str
    number: int | None = None

    def __str__(self) -> str:
        return self.file if self.number is None else f"{self.file}[{self.number}]"


class Block(NamedTuple):
    """Some pictures, in order."""

    names: list[Name]
    problems: list[str]  # why one cannot be read, "" where it can
    images: Images  # of those that can
    converted: int  # pictures that are grey where the model takes colours, or the other way round


@dataclass(frozen=True)
class Files:
    """Image files."""

    paths: list[str]

    def __len__(self) -> int:
        return len(self.paths)

    def names(self) -> Iterator[Name]:
        return map(Name, self.paths)

    def blocks(self, info: ModelInfo, start: int) -> Iterator[Block]:
        """The pictures from number *start* on."""
        shape, resizing = shape_of(info), resizing_of(info)
        jobs = [
            Job(paths, shape, resizing, MEMORY_PER_BYTE * largest, tolerant=True)
            for paths, largest in _batches(self.paths[start:], math.prod(shape))
        ]
        for job, result in zip(jobs, decode_workers.work(jobs, cores()), strict=True):
            images = np.frombuffer(result.pixels, np.uint8).reshape(-1, *shape)
            converted = sum(channels != shape[2] for channels in result.channels)
            yield Block([Name(path) for path in job.paths], result.problems, images, converted)


@dataclass(frozen=True)
class Idx:
    """The images of an IDX file."""

    file: IdxFile

    def __len__(self) -> int:
        return self.file.shape[0]

    def names(self) -> Iterator[Name]:
        return (Name(str(self.file.path), number) for number in range(len(self)))

    def blocks(self, info: ModelInfo, start: int) -> Iterator[Block]:
        """The images from number *start* on."""
        shape, resizing, first = shape_of(info), resizing_of(info), 0
        for whole in self.file.blocks():
            skipped = min(max(0, start - first), len(whole))
            if part := len(whole) - skipped:
                names = [Name(str(self.file.path), first + skipped + number) for number in range(part)]
                images = resized(whole[skipped:, ..., None], shape, resizing)
                yield Block(names, [""] * part, images, part if shape[2] != 1 else 0)
            first += len(whole)


Source = Files | Idx


def _batches(paths: Sequence[str], pixels: int) -> Iterator[tuple[list[str], int]]:
    """*paths*, as many at once as one process decodes in a moment; and the bytes of the largest file among them."""
    batch, total, largest = list[str](), 0, 0
    for path in paths:
        size = _size(path)
        if batch and (len(batch) == JOB_FILES or total + size + pixels > JOB_BYTES):
            yield batch, largest
            batch, total, largest = [], 0, 0
        batch.append(path)
        total, largest = total + size + pixels, max(largest, size)
    if batch:
        yield batch, largest


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - a folder may hold a million files: no Path for each
    except (OSError, ValueError):
        return 0  # decoding says what is wrong with it
