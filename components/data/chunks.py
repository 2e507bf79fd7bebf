"""Images in portions, so that measuring them takes the memory of a portion, whatever their number and size."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

BYTES = 32 * 2**20  # of float32 pixels


def portions(indices: NDArray[np.int64], shape: Sequence[int], most: int) -> Iterator[NDArray[np.int64]]:
    """*indices* of images of *shape* (H, W, C), in order, up to *most* at once; fewer where they are large."""
    size = min(most, max(1, BYTES // (4 * math.prod(shape))))
    yield from (indices[start : start + size] for start in range(0, len(indices), size))
