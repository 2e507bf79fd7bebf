from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from components.data.splits import Split, SplitWriter
from components.evaluate import image_properties, slices


def stroke(width: float, lean: float = 0.0, ink: int = 255, ground: int = 0) -> NDArray[np.float32]:
    """A straight stroke in 48 by 48 pixels, *width* wide, *lean* degrees to the right: float32 (1, 48, 48, 1)."""
    big = Image.new("L", (384, 384), ground)
    reach = 120 * np.tan(np.radians(lean))
    ImageDraw.Draw(big).line([(192 + reach, 72), (192 - reach, 312)], fill=ink, width=round(8 * width))
    return np.asarray(big.resize((48, 48), Image.Resampling.BOX), np.float32)[None, :, :, None] / np.float32(255)


def write(folder: Path, images: NDArray[np.float32]) -> Split:
    with SplitWriter(folder, images.shape[1:]) as writer:
        writer.add(np.rint(255 * images).astype(np.uint8), np.zeros(len(images), np.int64))
    return Split(folder)


@pytest.mark.parametrize("width", [2.0, 4.0, 6.0])
@pytest.mark.parametrize(("ink", "ground"), [(255, 0), (0, 255), (150, 200)])
def test_thickness_is_the_width_of_the_stroke_in_pixels(width: float, ink: int, ground: int) -> None:
    """Within a fifth; white on black, black on white and faint strokes alike (short strokes come out a bit thinner)."""
    assert image_properties.thickness(stroke(width, ink=ink, ground=ground))[0] == pytest.approx(width, rel=0.2)


@pytest.mark.parametrize("lean", [-30, -10, 0, 10, 30])
def test_slant_is_the_angle_of_the_stroke_in_degrees(lean: int) -> None:
    """To the right is positive; the colours do not matter."""
    assert image_properties.slant(stroke(3, lean))[0] == pytest.approx(lean, abs=1)
    assert image_properties.slant(stroke(3, lean, 0, 255))[0] == pytest.approx(lean, abs=1)


def test_a_photo_is_no_line_drawing() -> None:
    """An even border with something inside is one; noise, a gradient and a blank image are none."""
    noise = np.random.default_rng(0).random((1, 48, 48, 3)).astype(np.float32)
    gradient = np.broadcast_to(np.linspace(0, 1, 48, dtype=np.float32)[None, None, :, None], (1, 48, 48, 1))
    assert (
        image_properties.is_line_drawing(stroke(3)).tolist()
        == image_properties.is_line_drawing(stroke(3, 0, 0, 255)).tolist()
        == [True]
    )
    assert not any(
        image_properties.is_line_drawing(images)[0] for images in (noise, gradient, np.ones((1, 48, 48, 1), np.float32))
    )


def test_slices_are_fifths_of_the_training_split_with_counts_and_intervals(tmp_path: Path) -> None:
    """Thin test strokes are misclassified: that slice alone is wrong, and the counts of each property add up."""
    widths = np.linspace(1, 6, 50)
    strokes = np.concatenate(
        [stroke(width, lean) for width, lean in zip(widths, np.tile([-20, 0, 20, 5, -5], 10), strict=True)]
    )
    train, test = write(tmp_path / "train", strokes), write(tmp_path / "test", strokes[::2])
    found = slices.measure(train, test, right=widths[::2] > 2)
    assert found["drawn"] == 1
    parts = {
        name: [p for p in found["parts"] if p["property"] == name]
        for name in ("stroke thickness", "slant", "brightness")
    }
    assert [sum(p["n"] for p in each) for each in parts.values()] == [25, 25, 25]
    thickness = parts["stroke thickness"]
    assert [(p["part"], p["n"], p["accuracy"]) for p in thickness] == [
        ("thinnest", 5, 0), ("thin", 6, 1), ("medium", 5, 1), ("thick", 5, 1), ("thickest", 4, 1)
    ]  # fmt: skip
    assert thickness[0]["low"] is thickness[-1]["high"] is None
    assert thickness[0]["high"] == thickness[1]["low"]
    assert thickness[0]["wilson_low"] == 0 < thickness[0]["wilson_high"] < 0.5


def test_photos_are_sliced_by_brightness_alone_and_equal_images_form_one_slice(tmp_path: Path) -> None:
    """Strokes are measured on line drawings alone; where all images are equally bright there is one slice."""
    images = np.random.default_rng(0).random((60, 6, 6, 3)).astype(np.float32)
    images *= np.linspace(0.2, 1, 60, dtype=np.float32)[:, None, None, None]
    photos = write(tmp_path / "photos", images)
    found = slices.measure(photos, photos, np.ones(60, bool))
    assert {p["property"] for p in found["parts"]} == {"brightness"}
    assert [p["n"] for p in found["parts"]] == [12] * 5
    even = write(tmp_path / "even", np.full((10, 6, 6, 1), 0.4, np.float32))
    (one,) = slices.measure(even, even, np.ones(10, bool))["parts"]
    assert (one["part"], one["n"], one["accuracy"]) == ("darkest", 10, 1)
