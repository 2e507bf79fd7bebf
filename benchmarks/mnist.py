"""Read MNIST's files without TensorFlow, whose first import decides how it computes."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Split, SplitWriter


def read(path: Path, offset: int) -> NDArray[np.uint8]:
    """The bytes of a gzip file after a header of *offset* bytes."""
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


def first_images(folder: Path, out: Path, count: int) -> Split:
    """The first *count* training images of the MNIST in *folder*, as a split in *out*."""
    with SplitWriter(out, (28, 28, 1)) as split:
        images = read(folder / "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
        labels = read(folder / "train-labels-idx1-ubyte.gz", 8).astype(np.int64)
        split.add(images[:count], labels[:count])
    return Split(out)
