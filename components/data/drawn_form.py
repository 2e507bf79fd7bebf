"""Whether images are drawings of one form, as handwritten digits are: strokes of light ink on black, whose box was
scaled to one size and laid in the middle.

A model of such images is right about a drawing only after the drawing has been brought into that form; so the form is
measured from the training images themselves. An image is a drawing where the outline of its ink, filled and blurred as
all of them are, gives the image back: photographs and textures are more than their outline, and filled shapes are wider
than any pen.

                     box   in the middle       pen, of the box   blur     an outline differs from its image by
    MNIST            20    the centre of mass  0.10 to 0.14      0        7 %
    scikit-learn's   28    the box             0.17 to 0.21      1.5      15 %
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.artifact_files import DrawnForm
from components.data.splits import Images, Split
from components.data.strokes import FINE, Grey, depths, gaussian, pen_width

SAMPLE, TRACED = 5000, 200  # images, evenly spaced: of those that are measured, of those whose strokes are
SHARE = 0.95  # of the images that must have the form
OFF = 0.51  # pixels in each direction by which a centre of mass may miss its place: whole pixels miss by up to 0.5
BESIDE = 1 / 8  # of the side, by which the middle of a box may: a pixel of 8 x 8, from which images may be enlarged
BLACK = 25  # of 255: at most that is ground
LEAST_GROUND = 0.3  # of an image
WIDEST = 0.25  # of the box: shapes whose median is wider are filled, not drawn with a pen
QUARTILES = (25, 75)  # percentiles between which a pen is left as it is
BLURS = tuple(k / 4 for k in range(11))  # pixels, standard deviation
DIFFERENT = 0.25  # of an image's ink, by which its outline may differ from it


class Boxes(NamedTuple):
    """Of the ink of each image: its longer side, and the place of its middle down and across, in pixels."""

    longer: NDArray[np.int64]  # (N,)
    middles: NDArray[np.float64]  # (2, N)


def drawn_form(train: Split) -> DrawnForm | None:
    """The form that the images of *train* share; None where they are no drawings of one form."""
    height, width, channels = train.shape
    if channels != 1 or height != width or not len(train):
        return None
    images = _spread(train.take(_places(len(train), SAMPLE))[..., 0])
    boxes = _boxes(images)
    box = int(np.bincount(boxes.longer).argmax())
    on_ground = (boxes.longer == box) & ((images <= BLACK).mean(axis=(1, 2)) >= LEAST_GROUND)
    centred = bool((on_ground & _is_mass_centred(images)).mean() >= SHARE)
    if not centred and (on_ground & _is_box_centred(boxes, height)).mean() < SHARE:
        return None
    return _with_strokes(images[_places(len(images), TRACED)], box, centred) if box else None


def _places(count: int, most: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def _spread(images: Images) -> Images:
    """*images* with 255 as the brightest pixel of each; black ones stay black."""
    brightest = images.max(axis=(1, 2), keepdims=True).astype(np.float32)
    spread: Images = np.rint(images * (255 / np.maximum(brightest, 1))).astype(np.uint8)
    return spread


def _boxes(images: Images) -> Boxes:
    """The boxes of all pixels that are brighter than half; the longer side of a black image is 0."""
    inked: NDArray[np.bool_] = images > 127
    starts, ends = np.array([_extent(np.asarray(inked.any(axis=axis))) for axis in (2, 1)]).swapaxes(0, 1)
    return Boxes((ends - starts).max(axis=0), (starts + ends) / 2)


def _extent(lines: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The first place of each of *lines* (N, side) that is true, and the place after the last one: (2, N)."""
    after = np.where(lines.any(axis=1), lines.shape[1] - lines[:, ::-1].argmax(axis=1), 0)
    return np.array([lines.argmax(axis=1), after])


def _is_mass_centred(images: Images) -> NDArray[np.bool_]:
    """Whether the centre of mass of each image lies on the pixel after its middle."""
    places = np.arange(images.shape[1])
    mass = images.sum(axis=(1, 2), dtype=np.int64)
    centres = [images.sum(axis=axis, dtype=np.int64) @ places / np.maximum(mass, 1) for axis in (1, 2)]
    off = np.abs(np.array(centres) - images.shape[1] / 2).max(axis=0)
    near: NDArray[np.bool_] = (off <= OFF) & (mass > 0)
    return near


def _is_box_centred(boxes: Boxes, side: int) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = np.abs(boxes.middles - side / 2).max(axis=0) <= BESIDE * side
    return near


def _with_strokes(images: Images, box: int, centred: bool) -> DrawnForm | None:
    """The form with its pen and blur; None where the images are more than strokes."""
    outlines = np.stack([_outline(image) for image in images])
    pens = [pen_width(depths(outline)) / FINE / box for outline in outlines]
    inks = outlines.astype(np.float32)
    differences = np.stack([_differences(images, inks, blur) for blur in BLURS], axis=1)
    best = int(np.median(differences, axis=0).argmin())
    if np.median(pens) > WIDEST or (differences[:, best] <= DIFFERENT).mean() < SHARE:
        return None
    low, high = np.percentile(pens, QUARTILES).round(3).tolist()
    return {"box": box, "centred": centred, "pen": [low, high], "blur": BLURS[best]}


def _outline(image: Images) -> NDArray[np.bool_]:
    """Where *image*, uint8 (side, side), is ink: FINE times as large."""
    large = Image.fromarray(image).resize((len(image) * FINE,) * 2, Image.Resampling.BICUBIC)
    ink: NDArray[np.bool_] = np.asarray(large) > 127
    return ink


def _differences(images: Images, inks: Grey, blur: float) -> NDArray[np.float64]:
    """By how much of its ink each image differs from its own outline, filled and blurred."""
    side = images.shape[1]
    small = gaussian(side * FINE, blur * FINE).reshape(side, FINE, side * FINE).mean(axis=1)  # blurred, then shrunk
    across = inks.reshape(-1, side * FINE) @ small.T  # one product of all images: ten times as fast
    rebuilt = small @ across.reshape(len(inks), side * FINE, side)
    rebuilt *= 255 / np.maximum(rebuilt.max(axis=(1, 2), keepdims=True), 1e-6)
    differences: NDArray[np.float64] = np.abs(rebuilt - images).sum(axis=(1, 2)) / np.maximum(
        images.sum(axis=(1, 2)), 1
    )
    return differences
