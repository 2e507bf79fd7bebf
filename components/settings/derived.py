"""Defaults that follow from the images: the size that they are decoded to. Pure functions, standard library only."""

import math
from collections.abc import Mapping

TRAINING_SHARE = 0.75  # of the images of a source, once a test and a validation split are held out
IMAGES_SEEN = 45_000  # by a training on a small data set: enough steps to learn from, whatever its number of images
EPOCHS_SEEN = 6  # of a large data set
PIXELS_SEEN = 200_000_000  # two cores train the default network on as many in about a minute and a half
MIN_SIDE = 64  # pixels: details that a person needs are mostly gone below it
ENLARGED = 1.25  # images of one size are not scaled down for less than this, along each side
MAX_ASPECT = 4.0  # width by height of what images are decoded to, or height by width
SQUARE = 1.05  # images of several sizes become square where their aspect ratio is below this


def image_shape(sizes: Mapping[tuple[int, int], int], images: int) -> tuple[int, int]:
    """The (height, width) in pixels to decode the images of a source to, where no setting says it.

    *sizes* counts the files by (height, width), *images* is their number. Files of one size keep it where training on
    them fits PIXELS_SEEN; otherwise all get the median aspect ratio and, at most, the median area of the files.
    """
    seen = max(IMAGES_SEEN, EPOCHS_SEEN * TRAINING_SHARE * images)
    affordable = max(MIN_SIDE, 8 * int(math.sqrt(PIXELS_SEEN / seen) / 8))
    side = _median({size: math.sqrt(size[0] * size[1]) for size in sizes}, sizes)
    if len(sizes) == 1 and side <= ENLARGED * affordable:
        return next(iter(sizes))
    aspect = _median({size: size[1] / size[0] for size in sizes}, sizes)
    if len(sizes) > 1 and 1 / SQUARE < aspect < SQUARE:
        aspect = 1.0
    aspect = min(max(aspect, 1 / MAX_ASPECT), MAX_ASPECT)
    side = min(side, affordable)
    return max(1, round(side / math.sqrt(aspect))), max(1, round(side * math.sqrt(aspect)))


def _median(values: Mapping[tuple[int, int], float], counts: Mapping[tuple[int, int], int]) -> float:
    """The lower median of *values*, each of which occurs as often as *counts* says."""
    half, so_far = sum(counts.values()) / 2, 0
    for size in sorted(values, key=values.__getitem__):
        so_far += counts[size]
        if so_far >= half:
            return values[size]
    raise ValueError("there are no images")
