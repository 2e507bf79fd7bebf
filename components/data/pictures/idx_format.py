"""The IDX format, read strictly and in blocks: the header is checked before it is trusted.

    bytes 0-3    magic: 0, 0, 8 (unsigned bytes), number of dimensions (3 images, 1 labels)
    then         each dimension, 32 bits, most significant byte first
    then         the values, one byte each, and nothing more

Format: https://web.archive.org/web/2022/http://yann.lecun.com/exdb/mnist/
"""

import gzip
import hashlib
import io
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn

from components.data.pictures.read_errors import read_errors
from components.errors import DataRejected
from components.system.files import open_regular

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KINDS = {3: "images", 1: "labels"}
BLOCK_BYTES = 4 * 2**20
MAX_SIDE = 4096
# gzip shrinks drawings and photographs by a factor of 2 to 30, and can reach 1,032: far above 30 is a bomb.
MAX_RATIO, ALWAYS_FINE = 200, 2**28
GZIP = b"\x1f\x8b"  # by content: browsers unpack a download and keep its name


class IdxFile:
    """An IDX file of unsigned bytes, gzip or raw; `shape` is what its header says: (N, H, W) or (N,)."""

    def __init__(self, path: Path, dimensions: int) -> None:
        """Read and check the header; raises DataRejected where the file cannot be what the header says."""
        self.path = path
        self._header_bytes = 4 + 4 * dimensions
        self._hash = hashlib.sha256()
        with read_errors(path), open_regular(path) as file:
            packed, size = _is_gzip(file), os.fstat(file.fileno()).st_size
        with self._open() as stream:
            header = self._read(stream, self._header_bytes)
        if header[:4] != bytes([0, 0, 8, dimensions]):
            kind = KINDS[dimensions]
            self._reject(
                f"begins with {header[:4].hex(' ')}; expected 00 00 08 0{dimensions}, the magic number of IDX {kind}"
            )
        self.shape: tuple[int, ...] = struct.unpack(f">{dimensions}I", header[4:])
        self._check(size, packed)

    def _check(self, size: int, packed: bool) -> None:
        promised = math.prod(self.shape)
        text = " x ".join(map(str, self.shape))
        if not promised or any(side > MAX_SIDE for side in self.shape[1:]):
            self._reject(f"says in its header that it holds {text} bytes; expected sides of 1 to {MAX_SIDE} pixels")
        if not packed and size != promised + self._header_bytes:
            self._reject(f"holds {size - self._header_bytes:,} bytes after its header, which promises {text}")
        if promised > max(ALWAYS_FINE, MAX_RATIO * size):
            self._reject(f"would unpack from {size:,} to {promised:,} bytes, a decompression bomb; refused")

    def blocks(self) -> "Iterator[NDArray[np.uint8]]":
        """Yield whole items in blocks, uint8 (n, ...); raises DataRejected unless the file is as its header says."""
        import numpy as np

        for block in self.raw_blocks():
            yield np.frombuffer(block, np.uint8).reshape(-1, *self.shape[1:])

    def raw_blocks(self) -> Iterator[bytes]:
        """The same as plain bytes."""
        item = math.prod(self.shape[1:])
        block_items = max(1, BLOCK_BYTES // item)
        self._hash = hashlib.sha256()
        with self._open() as stream:
            self._read(stream, self._header_bytes)
            for start in range(0, self.shape[0], block_items):
                yield self._read(stream, min(block_items, self.shape[0] - start) * item)
            self._end(stream)

    def sha256(self) -> str:
        """The hash of the decompressed bytes, once the blocks are exhausted."""
        return self._hash.hexdigest()

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        with read_errors(self.path), open_regular(self.path) as file:
            if _is_gzip(file):
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield unpacked  # type: ignore[misc] # typeshed: not an IO
            else:
                yield file

    def _read(self, stream: IO[bytes], count: int) -> bytes:
        try:
            data = stream.read(count)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            self._reject(f"is truncated or damaged ({error}); download it again")
        if len(data) != count:
            self._reject("is truncated: it holds less data than its header promises; download it again")
        self._hash.update(data)
        return data

    def _end(self, stream: IO[bytes]) -> None:
        try:
            more = stream.read(1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            self._reject(f"is truncated or damaged ({error}); download it again")
        if more:
            self._reject("holds more data than its header promises; download it again")

    def _reject(self, problem: str) -> NoReturn:
        raise DataRejected(f"{self.path} {problem}")


def _is_gzip(file: io.BufferedReader) -> bool:
    return file.peek(len(GZIP))[: len(GZIP)] == GZIP
