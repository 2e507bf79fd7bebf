"""Why a model answered so: how much its answer hangs on each part of the image, found by covering them one by one.

Occlusion (Zeiler and Fergus 2013, https://arxiv.org/abs/1311.2901) needs nothing of the model but its answers.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Images
from components.models.prediction import Probabilities

PLACES = 14  # a side: the patch moves by a fourteenth of the image, or 2 pixels, and is twice as wide
BATCH = 64  # images at a time, so that large ones fit in memory


def occlusion(image: Images, probabilities: Callable[[Images], Probabilities]) -> NDArray[np.float32]:
    """How far the probability of the answer falls where a pixel of *image*, uint8 (H, W, C), is covered: (H, W)."""
    height, width, _ = image.shape
    stride = max(2, -(-max(height, width) // PLACES))
    patches = [(rows, columns) for rows in _spans(height, stride) for columns in _spans(width, stride)]
    before = probabilities(image[None])[0]
    best = int(before.argmax())
    falls, covers = np.zeros((2, height, width), np.float32)
    for first in range(0, len(patches), BATCH):
        some = patches[first : first + BATCH]
        for patch, after in zip(some, probabilities(_covered(image, some))[:, best], strict=True):
            falls[patch] += before[best] - after
            covers[patch] += 1
    return falls / covers


def _spans(length: int, stride: int) -> list[slice]:
    """The places of a patch along a side, the last one at its end."""
    last = max(0, length - 2 * stride)
    return [slice(start, start + 2 * stride) for start in (*range(0, last, stride), last)]


def _covered(image: Images, patches: list[tuple[slice, slice]]) -> Images:
    """*image* once for each of the *patches*, which has the colour of the rim: that is ground, where grey were ink."""
    rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    images = np.repeat(image[None], len(patches), axis=0)
    for covered, patch in zip(images, patches, strict=True):
        covered[patch] = np.median(rim, axis=0).astype(np.uint8)
    return images
