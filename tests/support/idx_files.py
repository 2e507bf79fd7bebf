"""Small IDX files, right and wrong."""

import gzip
import struct
from pathlib import Path

import numpy as np

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(values: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> bytes:
    """*values* as the bytes of an IDX file."""
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def arrays(seed: int = 0) -> list["np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"]:
    """The values of the four files: 20 + 10 images of 4 x 3 with labels 1, 2 and 3."""
    rng = np.random.default_rng(seed)
    return [
        rng.integers(0, 256, (20, 4, 3), np.uint8),
        (np.arange(20) % 3 + 1).astype(np.uint8),
        rng.integers(0, 256, (10, 4, 3), np.uint8),
        (np.arange(10) % 3 + 1).astype(np.uint8),
    ]


def write(folder: Path, packed: bool = True, seed: int = 0, prefix: str = "") -> Path:
    """A folder with the four files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in zip(NAMES, arrays(seed), strict=True):
        data = idx(values)
        path = folder / f"{prefix}{name}{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return folder
