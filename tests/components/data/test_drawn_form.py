"""Whether training images are drawings of one form, decided from the images."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from components.data.drawn_form import drawn_form
from components.data.splits import Images, Split, SplitWriter
from components.ingest.sources import digits
from components.settings.sections import Ingest
from tests.support.photographs import photographs

REAL = os.environ.get("MNIST_DIR", "")
RNG = np.random.default_rng(0)


def written(folder: Path, images: Images) -> Split:
    with SplitWriter(folder, images.shape[1:]) as split:
        split.add(images, np.zeros(len(images), np.int64))
    return Split(folder)


def strokes(count: int, top: int, left: int, height: int = 20, width: int = 3) -> Images:
    """Images of a vertical stroke of light ink on black."""
    images = np.zeros((count, 28, 28, 1), np.uint8)
    images[:, top : top + height, left : left + width] = 200
    return images


def garments(count: int, *, woven: bool) -> Images:
    """Filled shapes that fill the frame, of one grey each, or *woven*: every pixel a little otherwise."""
    images = []
    for number in range(count):
        picture = Image.new("L", (112, 112))
        shirt = [(30, 0), (82, 0), (112, 40), (96, 50), (84, 36), (84, 112), (28, 112), (28, 36), (16, 50), (0, 40)]
        brush, grey = ImageDraw.Draw(picture), int(RNG.integers(120, 255))
        if number % 2:
            brush.polygon(shirt, fill=grey)
        else:
            brush.ellipse((0, 40, 112, 90), fill=grey)
        small = np.asarray(picture.resize((28, 28), Image.Resampling.BOX))
        images.append(np.clip(small * (RNG.uniform(0.4, 1.2, small.shape) if woven else 1), 0, 255).astype(np.uint8))
    return np.stack(images)[..., None]


def soft(images: Images, sigma: float) -> Images:
    blurred = [Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)) for image in images[..., 0]]
    return np.stack([np.asarray(image) for image in blurred])[..., None]


def test_drawings_of_one_box_around_their_centre_of_mass_have_a_form(tmp_path: Path) -> None:
    """As MNIST's digits: a stroke over rows 4 to 23, columns 13 to 15, has its centre of mass at (13.5, 14)."""
    form = drawn_form(written(tmp_path / "all", strokes(100, 4, 13)))
    assert form
    assert (form["box"], form["centred"], form["blur"]) == (20, True, 0.0)
    few = np.concatenate([strokes(96, 4, 13), strokes(4, 0, 0)])
    assert drawn_form(written(tmp_path / "few", few)) == form


def test_the_digits_of_scikit_learn_have_a_form(tmp_path: Path) -> None:
    """They fill the frame, around the middle of their box, and are enlarged from 8 x 8: wide strokes, blurred."""
    images = next(block[1] for block in digits.read(Ingest(source="digits"), tmp_path).blocks if block[0] == "train")
    form = drawn_form(written(tmp_path / "split", images))
    assert form
    assert (form["box"], form["centred"]) == (28, False)
    assert 1 <= form["blur"] <= 1.75
    assert np.allclose(form["pen"], [0.167, 0.213], atol=0.01)


@pytest.mark.skipif(not REAL, reason="MNIST_DIR is not set: the real files are not here")
def test_mnist_has_a_form(tmp_path: Path) -> None:
    """A box of 20 around the centre of mass, with sharp edges."""
    packed = Path(REAL, "t10k-images-idx3-ubyte.gz").read_bytes()
    images = np.frombuffer(gzip.decompress(packed), np.uint8, offset=16).reshape(-1, 28, 28, 1)
    form = drawn_form(written(tmp_path / "split", images))
    assert form is not None
    assert (form["box"], form["centred"], form["blur"]) == (20, True, 0.0)
    assert np.allclose(form["pen"], [0.105, 0.15], atol=0.01)


@pytest.mark.parametrize(("width", "sigma"), [(2, 0.0), (4, 0.0), (3, 1.0), (3, 2.0)])
def test_pen_and_blur_are_measured(width: int, sigma: float, tmp_path: Path) -> None:
    """The pen to a tenth of a pixel where edges are sharp, the blur to half a pixel; Pillow's is no exact Gaussian."""
    form = drawn_form(written(tmp_path / "split", soft(strokes(20, 4, 13, width=width), sigma)))
    assert form
    assert abs(form["blur"] - sigma) <= 0.5
    if not sigma:
        low, high = form["pen"]
        assert low == high
        assert abs(low * 20 - width) <= 0.1 * width


@pytest.mark.parametrize(
    "images",
    [
        np.concatenate([strokes(90, 4, 13), strokes(10, 0, 0)]),
        strokes(100, 0, 13),
        np.concatenate([strokes(50, 4, 13), strokes(50, 6, 13, height=16)]),
        strokes(100, 0, 0, height=28),
        strokes(100, 0, 10, height=28, width=8),
        RNG.integers(0, 255, (50, 28, 28, 1), np.uint8),
        255 - strokes(50, 4, 13),
        np.zeros((50, 28, 28, 1), np.uint8),
        strokes(50, 4, 13).repeat(3, axis=3),
        strokes(50, 4, 13)[:, :, :27],
        garments(60, woven=False),
        garments(60, woven=True),
        photographs(60, 28, 1),
    ],
    ids=[
        "one in ten lies elsewhere", "off-centre", "of two sizes", "fill the frame at its rim", "filled", "noise",
        "dark ink", "black", "colour", "oblong", "filled shapes", "woven shapes", "photographs",
    ],
)  # fmt: skip
def test_other_images_have_none(tmp_path: Path, images: Images) -> None:
    """A drawing must not be changed for a model that was trained on something else."""
    assert drawn_form(written(tmp_path / "split", images)) is None


def test_strokes_that_fill_the_frame_are_drawings_too(tmp_path: Path) -> None:
    """A stroke from edge to edge has a box of 28: it is no wider than a pen, and nothing but its outline."""
    form = drawn_form(written(tmp_path / "split", strokes(100, 0, 13, height=28)))
    assert form
    assert form["box"] == 28


def test_the_fixed_place_of_mnist_is_a_pixel_beyond_the_middle(tmp_path: Path) -> None:
    """Its centres of mass lie within half a pixel of (14, 14), not of the true middle, (13.5, 13.5)."""
    beyond = drawn_form(written(tmp_path / "beyond", strokes(50, 5, 13)))
    before = drawn_form(written(tmp_path / "before", strokes(50, 3, 12)))
    assert beyond
    assert beyond["centred"]
    assert before
    assert not before["centred"]
