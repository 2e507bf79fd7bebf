"""A free-hand drawing in the form of the training images."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from components.artifact_files import DrawnForm
from components.data.pictures.decoding import Unusable
from components.data.splits import Images
from components.data.strokes import FINE, depths, pen_width, scaled
from components.inference.drawings import INK, read
from tests.support.handwriting import sheet, written

SHARP: DrawnForm = {"box": 20, "centred": True, "pen": [0.1, 0.15], "blur": 0.0}
SOFT: DrawnForm = {"box": 28, "centred": False, "pen": [0.17, 0.21], "blur": 1.25}
SEVEN = written(7, np.random.default_rng(0))


def file(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    saved = io.BytesIO()
    picture.save(saved, kind, **options)
    return saved.getvalue()


def drawn(size: int = 200, pen: int = 22, place: tuple[int, int] = (40, 40)) -> Image.Image:
    return sheet(SEVEN, size, pen, place)


def seen(picture: Image.Image, form: DrawnForm = SHARP) -> Images:
    image = read(file(picture), 28, form)
    assert image.shape == (28, 28, 1)
    assert image.dtype == np.uint8
    return image[..., 0]


def box(image: Images) -> tuple[int, int, int, int]:
    """The first row, the row after the last, and the same of the columns, with ink brighter than half."""
    rows, columns = np.flatnonzero((image > 127).any(1)), np.flatnonzero((image > 127).any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def pen(image: Images) -> float:
    """The width of its strokes, of 1 for the longer side of their box."""
    top, bottom, left, right = box(image)
    ink = scaled(image[top:bottom, left:right].astype(np.float32), 20 * FINE) > 127
    return pen_width(depths(ink)) / (20 * FINE)


@pytest.mark.parametrize(("size", "place"), [(80, (0, 0)), (120, (160, 20)), (250, (20, 30))])
def test_size_and_place_make_no_difference(size: int, place: tuple[int, int]) -> None:
    """With a pen in proportion: a box of 20 whose centre of mass lies within half a pixel of (14, 14)."""
    image = seen(drawn(size, round(size * 0.12), place))
    top, bottom, left, right = box(image)
    assert max(bottom - top, right - left) in (19, 20)  # a faint last row is darker than half
    weights = image / image.sum()
    assert abs(weights.sum(1) @ np.arange(28) - 14) <= 0.5
    assert abs(weights.sum(0) @ np.arange(28) - 14) <= 0.5
    assert image.max() == 255


@pytest.mark.parametrize(("width", "expected"), [(6, 0.1), (22, 0.12), (52, 0.15)])
def test_the_pen_is_brought_into_the_training_range(width: int, expected: float) -> None:
    """Thinner pens are thickened and thicker ones thinned, to the nearest width that the training has."""
    assert abs(pen(seen(drawn(200, width))) - expected) < 0.025


def test_a_stroke_loses_at_most_half_of_its_width() -> None:
    """A pen that is far too thick stays in one piece: thinned to the training's width it would break."""
    assert 0.3 < pen(seen(drawn(200, 90))) < pen(seen(drawn(200, 90), {**SHARP, "pen": [0.1, 0.9]}))


def test_edges_become_as_soft_as_those_of_the_training() -> None:
    """The box fills the frame around its middle; blurring spreads the ink beyond it."""
    sharp, blurred = (seen(drawn(200, 36), {**SOFT, "blur": blur}) for blur in (0.0, 1.25))
    top, bottom, left, right = box(blurred)
    assert (top, bottom) == (0, 28)
    assert abs((left + right) / 2 - 14) <= 1
    assert sharp.max() == blurred.max() == 255
    grey = [((image > 25) & (image < 230)).sum() / (image > 25).sum() for image in (sharp, blurred)]
    assert grey[1] > 1.5 * grey[0]


def test_images_of_the_training_keep_their_strokes() -> None:
    """A picture whose ink is no larger than theirs is moved at most: twice is as once, but for what is barely grey."""
    once = seen(drawn())
    assert np.array_equal(seen(Image.fromarray(once)), once)
    soft = seen(drawn(), SOFT)
    assert np.abs(seen(Image.fromarray(soft), SOFT).astype(int) - soft).max() <= INK


def test_ink_is_found_on_any_ground() -> None:
    """White on black, black on white, grey on grey, on a transparent sheet, turned by the camera."""
    picture = drawn()
    reference = seen(picture)
    white = Image.new("L", picture.size, 255)
    clear = Image.merge("LA", (Image.new("L", picture.size, 0), picture))
    bright = Image.merge("LA", (white, picture))
    for other in (
        ImageOps.invert(picture),
        picture.point(lambda v: 90 + v // 4),
        clear,
        bright,
        picture.convert("RGB"),
    ):
        assert np.abs(seen(other).astype(int) - reference).mean() < 1
    turned = picture.rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned by 90 degrees clockwise when it is shown
    image = read(file(turned, "JPEG", exif=exif, quality=95), 28, SHARP)[..., 0]
    assert np.abs(image.astype(int) - reference).mean() < 3


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_an_empty_sheet_is_no_drawing(grey: int) -> None:
    with pytest.raises(Unusable, match="nothing is drawn in the picture"):
        seen(Image.new("L", (280, 280), grey))


def test_what_is_no_picture_is_refused_with_its_reason() -> None:
    with pytest.raises(Unusable, match="the picture cannot be decoded"):
        read(file(drawn())[:200], 28, SHARP)


def test_a_form_without_a_pen_is_that_of_mnist() -> None:
    """As it was published before pens were measured: neither thinner nor blurred."""
    form: DrawnForm = {"box": 20, "centred": True}
    assert np.array_equal(
        seen(drawn(200, 60), form), seen(drawn(200, 60), {**form, "pen": [0.102, 0.149], "blur": 0.0})
    )
