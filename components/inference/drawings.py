"""A free-hand drawing in the form of the training images: light ink on black, of one size, at one place, one pen wide.

A model of such images is often wrong about a drawing that is merely shrunk to its size, and sure of it. The training's
own images keep their strokes, as do all pictures whose ink is no larger than theirs.
"""

import io
import math

import numpy as np
from PIL import Image, ImageOps

from components.artifact_files import DrawnForm
from components.data.pictures.decoding import Unusable
from components.data.splits import Images
from components.data.strokes import FINE, Grey, blurred, depths, pen_width, scaled

LARGEST = 1024  # pixels a side; a larger picture is shrunk first
INK = 25.0  # of 255: darker than that is ground
MNIST_PEN = [0.102, 0.149]  # of a form that was published without a pen
MOST_TAKEN = (
    0.25  # of the pen's width from each side: more breaks strokes, less leaves loops closed (docs/benchmarks.md)
)


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
    box, blur, margin = form["box"], 0.0, 0
    if max(drawn.shape) > box:
        blur = form.get("blur", 0.0)
        margin = math.ceil(3 * blur)
        drawn = _with_pen(scaled(drawn, box * FINE), *form.get("pen", MNIST_PEN))
        drawn = scaled(drawn, box * FINE)
        if blur:
            drawn = blurred(np.pad(drawn, margin * FINE), blur * FINE)
    small = scaled(drawn, box + 2 * margin)
    return _placed(_stretched(small), side, margin, centred=form["centred"])[..., None]


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


def _with_pen(grey: Grey, thinnest: float, thickest: float) -> Grey:
    """*grey* as a pen of between these widths, in parts of its longer side, would have drawn it."""
    ink = grey > 127
    length, width = max(grey.shape), pen_width(depths(ink))
    wanted = min(max(width, thinnest * length), thickest * length) / length
    # what is taken from both sides of a stroke is taken from the box as well, which is enlarged again afterwards
    surplus = (width - wanted * length) / (1 - wanted) / 2
    if abs(surplus) < 0.5:
        return grey
    wide = np.pad(ink, math.ceil(max(-surplus, 0)))
    inside = depths(wide) - depths(~wide, beyond=True)
    changed = _cropped(np.clip(inside - min(surplus, MOST_TAKEN * width) + 0.5, 0, 1) * np.float32(255))
    return grey if changed is None else changed


def _placed(grey: Grey, side: int, margin: int, *, centred: bool) -> Images:
    """*grey* on black, shifted by whole pixels: its centre of mass in the middle, else the middle of its box.

    It stays inside, but for the *margin* around it, which holds what blurring has spread.
    """
    image = np.zeros((side + 2 * margin,) * 2, np.uint8)
    places = []
    for axis, length in enumerate(grey.shape):
        mass = grey.sum(axis=1 - axis)
        middle = float(mass @ np.arange(length) / mass.sum()) if centred else length / 2
        first = min(max(round(side / 2 - middle) + margin, 0), side + 2 * margin - length)
        places.append(slice(first, first + length))
    image[tuple(places)] = np.clip(np.rint(grey), 0, 255)
    return image[margin : margin + side, margin : margin + side]
