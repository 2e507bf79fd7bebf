"""The strokes of a drawing: how deep in the ink a pixel lies, how wide the pen was, how soft the edges are."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.float32]

FAR = np.float32(1e3)  # pixels: where no ground is
FINE = 5  # times the size in the training's form, in which strokes are measured and changed


def scaled(grey: Grey, longer: int) -> Grey:
    """*grey* with a *longer* side of so many pixels; the area's mean on the way down, as scanned ink becomes grey."""
    scale = longer / max(grey.shape)
    height, width = (max(1, round(length * scale)) for length in grey.shape)
    rule = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(grey).resize((width, height), rule), np.float32)


def blurred(grey: Grey, sigma: float) -> Grey:
    """*grey* convolved with a Gaussian of *sigma* pixels; all around it is black."""
    down, across = (gaussian(length, sigma) for length in grey.shape)
    return np.asarray(down @ grey @ across, np.float32)


def gaussian(length: int, sigma: float) -> Grey:
    """The matrix that blurs a column of *length* pixels; the unit matrix for a *sigma* of 0."""
    if not sigma:
        return np.eye(length, dtype=np.float32)
    places = np.arange(length, dtype=np.float32)
    ways = (places[:, None] - places) / np.float32(sigma)
    return np.asarray(np.exp(-(ways**2) / 2) / (sigma * np.sqrt(2 * np.pi)), np.float32)


def depths(ink: NDArray[np.bool_], *, beyond: bool = False) -> Grey:
    """How far the middle of each pixel of *ink* is from the edge of the ink, in pixels; 0 outside.

    *beyond* the frame is ink too, or none.
    """
    distance = _distance(np.pad(ink, 1, constant_values=beyond))[1:-1, 1:-1]
    return np.asarray(np.maximum(distance - 0.5, 0), np.float32)


def pen_width(depths: Grey) -> float:
    """The mean width of the strokes in pixels: across one, the depth has a mean of a quarter of its width."""
    inside = depths[depths > 0]
    return 4 * float(inside.mean()) if inside.size else 0.0


def _distance(ink: NDArray[np.bool_]) -> Grey:
    """How far each pixel of *ink* is from the nearest that is none, exactly: along the rows, then along the columns."""
    places = np.arange(ink.shape[1], dtype=np.float32)
    before = places - np.maximum.accumulate(np.where(ink, -FAR, places), axis=1)
    after = np.minimum.accumulate(np.where(ink, FAR, places)[:, ::-1], axis=1)[:, ::-1] - places
    return np.sqrt(_nearest((np.minimum(before, after) ** 2).T).T)


def _nearest(squares: Grey) -> Grey:
    """For each place in a row, the least of its squares plus the squared way to each."""
    places = np.arange(squares.shape[1], dtype=np.float32)
    ways = (places[:, None] - places) ** 2
    return np.stack([(row + ways).min(axis=1) for row in squares])
