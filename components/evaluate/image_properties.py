"""Properties of line drawings - ink on an even background, such as a digit - and whether an image is one.

Images are float32 (n, H, W, C) in 0..1. Whether it is black on white or white on black follows from the border.
"""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]
Floats = NDArray[np.float64]

EVEN = 0.15  # a border pixel this close to the background belongs to it
SHARE_EVEN = 0.7  # of the border of a line drawing


def background(images: Pixels) -> Pixels:
    """The median colour of the border: float32 (n, C)."""
    median: Pixels = np.median(_border(images), axis=1)
    return median


def is_line_drawing(images: Pixels) -> NDArray[np.bool_]:
    """Which images have a border that is mostly of one colour, and something else inside: bool (n,)."""
    grey = images.mean(axis=-1, keepdims=True)
    near = np.abs(_border(grey) - background(grey)[:, None, :]) < EVEN
    inside = np.abs(grey - background(grey)[:, None, None, :]).max(axis=(1, 2, 3)) > EVEN
    drawn: NDArray[np.bool_] = (near.mean(axis=(1, 2)) >= SHARE_EVEN) & inside
    return drawn


def ink(images: Pixels) -> Pixels:
    """Distance of each pixel from the background, scaled so that the largest of its image is 1: float32 (n, H, W)."""
    far = np.abs(images - background(images)[:, None, None, :]).mean(axis=-1)
    strongest: Pixels = far / np.maximum(far.max(axis=(1, 2), keepdims=True), 1e-6)
    return strongest


def brightness(images: Pixels) -> Floats:
    """Mean of all pixels, 0..255: float64 (n,)."""
    mean: Floats = images.mean(axis=(1, 2, 3), dtype=np.float64)
    return 255 * mean


def thickness(images: Pixels) -> Floats:
    """Mean width of the strokes in pixels, 2 area / perimeter of the ink: float64 (n,).

    A stroke of length l and width w has the area lw and, if long, the perimeter 2l. The perimeter of a grey image is
    its total variation (the mean perimeter of its level sets, by the coarea formula), so no threshold is needed.
    """
    padded = np.pad(ink(images), ((0, 0), (1, 1), (1, 1)))
    down, right = np.diff(padded, axis=1)[:, :, :-1], np.diff(padded, axis=2)[:, :-1, :]
    perimeter = np.sqrt(down**2 + right**2).sum(axis=(1, 2), dtype=np.float64)
    width: Floats = 2 * padded.sum(axis=(1, 2), dtype=np.float64) / np.maximum(perimeter, 1e-6)
    return width


def slant(images: Pixels) -> Floats:
    """Slant of the drawing in degrees, positive to the right, from its second moments: float64 (n,).

    The shear that makes x and y of the ink uncorrelated, as in deskewing digits (LeCun et al., Gradient-based learning
    applied to document recognition, Proc. IEEE 86 (1998), section III.A).
    """
    mass = ink(images).astype(np.float64)
    total = np.maximum(mass.sum(axis=(1, 2)), 1e-6)
    y, x = np.arange(images.shape[1]), np.arange(images.shape[2])
    rows, columns = mass.sum(axis=2), mass.sum(axis=1)
    mean_y, mean_x = rows @ y / total, columns @ x / total
    spread = rows @ (y * y) / total - mean_y**2
    together = np.einsum("nhw,h,w->n", mass, y, x, optimize=True) / total - mean_y * mean_x
    lean: Floats = np.degrees(np.arctan2(-together, np.maximum(spread, 1e-6)))
    return lean


def _border(images: Pixels) -> Pixels:
    """The pixels of the border, a corner twice: float32 (n, 2H + 2W, C)."""
    sides = images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]
    return np.concatenate(sides, axis=1)
