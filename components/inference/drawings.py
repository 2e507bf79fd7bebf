"""A free-hand drawing in the form of the training images: light ink on black, of one size, at one place, one pen wide.

A model of such images is often wrong about a drawing that is merely shrunk to its size, and sure of it. The training's
own images come out as they were: their ink has its size and place already, and only thicker pens are thinned.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from components.artifact_files import DrawnForm
from components.data.pictures.decoding import Unusable
from components.data.splits import Images

Grey = NDArray[np.float32]

FINE = 5  # times the size in the training's form, in which the width of the pen is measured
LARGEST = 1024  # pixels a side; a larger picture is shrunk first
INK = 25.0  # of 255: darker than that is ground
PEN = 0.16  # of the longer side of the ink's box: wider pens are thinned to that
BARELY = 0.45  # of the pen's width that may be taken from each side, so that no stroke breaks


def read(data: bytes, side: int, form: DrawnForm) -> Images:
    """The drawing in a PNG or JPEG file, uint8 (side, side, 1); raises Unusable where nothing is drawn."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
            upright = ImageOps.exif_transpose(picture)
            return formed(_ink(upright), side, form)
    except (OSError, SyntaxError, ValueError) as error:
        raise Unusable(f"the picture cannot be decoded ({error})") from None


def formed(ink: Grey, side: int, form: DrawnForm) -> Images:
    """*ink*, 0..255 on a ground of 0, as uint8 (side, side, 1); raises Unusable where there is none."""
    drawn = _cropped(ink)
    if drawn is None:
        raise Unusable("nothing is drawn in the picture")
    box = form["box"]
    if max(drawn.shape) > box:
        drawn = _thinned(_scaled(drawn, box * FINE))
    small = _scaled(drawn, box)
    return _placed(_stretched(small), side, centred=form["centred"])[..., None]


def _ink(picture: Image.Image) -> Grey:
    """Light ink on black, whatever was drawn on what; transparency is paper that contrasts with the pen."""
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        pixels = np.asarray(rgba, np.float32)
        opacity = pixels[..., 3]
        brightness = float((pixels[..., :3].mean(axis=2) * opacity).sum() / max(float(opacity.sum()), 1))
        paper = Image.new("RGBA", rgba.size, "black" if brightness > 127 else "white")
        picture = Image.alpha_composite(paper, rgba)
    grey = np.asarray(picture.convert("L"), np.float32)
    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ground = float(np.median(rim))
    contrast = ground - grey if ground > 127 else grey - ground
    return _stretched(np.clip(contrast, 0, None))


def _stretched(grey: Grey) -> Grey:
    """*grey* with 255 as its brightest; black stays black."""
    brightest = float(grey.max(initial=0))
    return grey * np.float32(255 / brightest) if brightest > 0 else grey


def _cropped(grey: Grey) -> Grey | None:
    """The box around the ink."""
    rows, columns = (np.flatnonzero((grey > INK).any(axis=axis)) for axis in (1, 0))
    return grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else None


def _scaled(grey: Grey, longer: int) -> Grey:
    """*grey* with a *longer* side of so many pixels; the area's mean on the way down, as scanned ink becomes grey."""
    scale = longer / max(grey.shape)
    height, width = (max(1, round(length * scale)) for length in grey.shape)
    rule = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(grey).resize((width, height), rule), np.float32)


def _thinned(grey: Grey) -> Grey:
    """*grey* as a thinner pen would have drawn it, where its pen is wider than those of the training."""
    distance = _distance(grey > 127)
    length, width = max(grey.shape), pen_width(distance)
    # what is taken from both sides of a stroke is taken from the box as well, which is enlarged again afterwards
    surplus = (width - PEN * length) / (1 - PEN) / 2
    if surplus <= 0:
        return grey
    thin = _cropped(np.clip(distance - min(surplus, BARELY * width) + 0.5, 0, 1) * np.float32(255))
    return grey if thin is None else thin


def pen_width(distance: Grey) -> float:
    """The width of the strokes: across one, the distance to its edge has a mean of a quarter of its width."""
    inside = distance[distance > 0]
    return 4 * float(inside.mean()) if inside.size else 0.0


def _distance(ink: NDArray[np.bool_]) -> Grey:
    """How far each pixel of *ink* is from the nearest that is none, exactly: along the rows, then along the columns."""
    padded = np.pad(ink, 1)
    squares = _nearest(np.where(padded, np.float32(1e6), np.float32(0)))
    return np.sqrt(_nearest(squares.T).T[1:-1, 1:-1])


def _nearest(squares: Grey) -> Grey:
    """For each place in a row, the least of its squares plus the squared way to each."""
    places = np.arange(squares.shape[1], dtype=np.float32)
    ways = (places[:, None] - places) ** 2
    return np.stack([(row + ways).min(axis=1) for row in squares])


def _placed(grey: Grey, side: int, *, centred: bool) -> Images:
    """*grey* on black, shifted by whole pixels: its centre of mass in the middle, else the middle of its box."""
    offsets = []
    for axis, length in enumerate(grey.shape):
        mass = grey.sum(axis=1 - axis)
        middle = float(mass @ np.arange(length) / mass.sum()) if centred else length / 2
        offsets.append(min(max(round(side / 2 - middle), 0), side - length))
    top, left = offsets
    image = np.zeros((side, side), np.uint8)
    image[top : top + grey.shape[0], left : left + grey.shape[1]] = np.clip(np.rint(grey), 0, 255)
    return image
