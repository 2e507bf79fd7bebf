"""Whether training images are drawings of one form, decided from the images."""

from pathlib import Path

import numpy as np
import pytest

from components.data.drawn_form import drawn_form
from components.data.splits import Images, Split, SplitWriter


def written(folder: Path, images: Images) -> Split:
    with SplitWriter(folder, images.shape[1:]) as split:
        split.add(images, np.zeros(len(images), np.int64))
    return Split(folder)


def strokes(count: int, top: int, left: int, height: int = 20) -> Images:
    """Images of a vertical stroke of light ink on black."""
    images = np.zeros((count, 28, 28, 1), np.uint8)
    images[:, top : top + height, left : left + 3] = 200
    return images


def test_drawings_of_one_box_around_their_centre_of_mass_have_a_form(tmp_path: Path) -> None:
    """As MNIST's digits: a stroke over rows 4 to 23, columns 13 to 15, has its centre of mass at (13.5, 14)."""
    assert drawn_form(written(tmp_path / "all", strokes(100, 4, 13))) == {"box": 20, "centred": True}
    few = np.concatenate([strokes(96, 4, 13), strokes(4, 0, 0)])
    assert drawn_form(written(tmp_path / "few", few)) == {"box": 20, "centred": True}


@pytest.mark.parametrize(
    "images",
    [
        np.concatenate([strokes(90, 4, 13), strokes(10, 0, 0)]),
        strokes(100, 2, 13),
        strokes(100, 0, 13, height=28),
        np.random.default_rng(0).integers(0, 255, (50, 28, 28, 1), np.uint8),
        255 - strokes(50, 4, 13),
        np.zeros((50, 28, 28, 1), np.uint8),
        strokes(50, 4, 13).repeat(3, axis=3),
        strokes(50, 4, 13)[:, :, :27],
    ],
    ids=["one in ten lies elsewhere", "off-centre", "fill the frame", "noise", "dark ink", "black", "colour", "oblong"],
)
def test_other_images_have_none(tmp_path: Path, images: Images) -> None:
    """A drawing must not be changed for a model that was trained on something else."""
    assert drawn_form(written(tmp_path / "split", images)) is None


def test_the_fixed_place_of_mnist_is_a_pixel_beyond_the_middle(tmp_path: Path) -> None:
    """Its centres of mass lie within half a pixel of (14, 14), not of the true middle, (13.5, 13.5)."""
    assert drawn_form(written(tmp_path / "beyond", strokes(50, 5, 13))) == {"box": 20, "centred": True}
    assert drawn_form(written(tmp_path / "before", strokes(50, 3, 12))) is None
