"""Whether images are drawings of one form, as MNIST's digits are: light ink on black, its box scaled to 20 x 20 pixels
and shifted by whole pixels until its centre of mass lies on pixel (14, 14) of 28 x 28.

A model of such images is right about a drawing only after the drawing has been brought into that form; so it is decided
from the training images themselves. Of MNIST's, 99.9 % have a box of 20, and every centre of mass is within half a
pixel of (14, 14).
"""

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import DrawnForm
from components.data.splits import Images, Split

SAMPLE = 5000  # images, evenly spaced
SHARE = 0.95  # of the images that must have the form
OFF = 0.51  # pixels in each direction by which a centre of mass may miss its place: whole pixels miss by up to 0.5


def drawn_form(train: Split) -> DrawnForm | None:
    """The form that the images of *train* share; None where they are no drawings of one form."""
    height, width, channels = train.shape
    if channels != 1 or height != width or not len(train):
        return None
    images = train.take(np.linspace(0, len(train) - 1, min(SAMPLE, len(train))).astype(np.int64))[..., 0]
    sides = _longer_sides(images)
    box = int(np.bincount(sides).argmax())
    alike = (sides == box) & _are_centred(images)
    return {"box": box, "centred": True} if 0 < box < height and alike.mean() >= SHARE else None


def _longer_sides(images: Images) -> NDArray[np.int64]:
    """The longer side of the box around all pixels that are not black, of each image; 0 for a black one."""
    inked: NDArray[np.bool_] = images > 0
    return np.maximum(_extents(inked, axis=1), _extents(inked, axis=2))


def _extents(inked: NDArray[np.bool_], axis: int) -> NDArray[np.int64]:
    """The pixels from the first to the last column, or row, that any pixel along *axis* of an image makes inked."""
    lines = np.asarray(inked.any(axis=axis))
    first, after = lines.argmax(axis=1), lines.shape[1] - lines[:, ::-1].argmax(axis=1)
    extents: NDArray[np.int64] = np.where(lines.any(axis=1), after - first, 0)
    return extents


def _are_centred(images: Images) -> NDArray[np.bool_]:
    """Whether the centre of mass of each image lies on the pixel after its middle."""
    places = np.arange(images.shape[1])
    mass = images.sum(axis=(1, 2), dtype=np.int64)
    centres = [images.sum(axis=axis, dtype=np.int64) @ places / np.maximum(mass, 1) for axis in (1, 2)]
    off = np.abs(np.array(centres) - images.shape[1] / 2).max(axis=0)
    near: NDArray[np.bool_] = (off <= OFF) & (mass > 0)
    return near
