"""The figure of augmented images: one row per class, the original first, nothing without augmentation."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.data.splits import SplitWriter
from components.evaluate.figures.augmentation import draw


def drawn(folder: Path, text: str, shape: tuple[int, int, int] = (14, 7, 3), classes: int = 12) -> Path:
    """The figure of images in which every pixel is 10 times the class; class 0 is rare and comes last."""
    labels = np.arange(3 * classes) % classes
    labels = np.append(labels[labels > 0], 0)
    with SplitWriter(folder / "train", shape) as split:
        split.add(np.broadcast_to(10 * labels.astype(np.uint8)[:, None, None, None], (len(labels), *shape)), labels)
    (folder / "summary.json").write_text(json.dumps({"augment": text}))
    draw(folder / "train", folder / "summary.json", folder / "augmented.png")
    return folder / "augmented.png"


def test_each_row_is_a_class_beside_eight_versions_of_it(tmp_path: Path) -> None:
    """Five of twelve classes, from the first to the last, as large as fits; the erased parts are visible."""
    picture = np.asarray(Image.open(drawn(tmp_path, "erase=0.3")))
    assert picture.shape == (5 * 120 - 8, 9 * 64 - 8 + 32, 3)
    rows = picture.reshape(-1, *picture.shape[1:])[::120]
    assert [row[0].tolist() for row in rows] == [[10 * number] * 3 for number in (0, 2, 5, 8, 11)]
    originals, versions = picture[:112, :56], picture[:, 56 + 8 + 32 :]
    assert (originals == 0).all()
    assert len(np.unique(versions)) > 100


def test_a_blank_image_represents_no_class(tmp_path: Path) -> None:
    """The first image of the class is blank, the second nearly: the third is drawn."""
    images = np.random.default_rng(0).integers(0, 256, (6, 14, 14, 1), np.uint8)
    images[0], images[2] = 255, images[2] // 90
    with SplitWriter(tmp_path / "train", (14, 14, 1)) as split:
        split.add(images, np.arange(6) % 2)
    (tmp_path / "summary.json").write_text(json.dumps({"augment": "shift"}))
    draw(tmp_path / "train", tmp_path / "summary.json", tmp_path / "out.png")
    first = np.asarray(Image.open(tmp_path / "out.png"))[:112, :112, 0]
    assert np.array_equal(first, np.kron(images[4, ..., 0], np.ones((8, 8), np.uint8)))


@pytest.mark.parametrize("shape", [(300, 200, 1), (2, 400, 3)])
def test_large_images_are_shrunk(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    """In their own proportions, and never to a side of 0 pixels."""
    with Image.open(drawn(tmp_path, "shift", shape, classes=2)) as picture:
        assert picture.width < 1200
        assert picture.height < 250


def test_equal_images_and_strengths_give_equal_bytes(tmp_path: Path) -> None:
    """Figures that are drawn again are the same."""
    assert drawn(tmp_path / "one", "shift,erase").read_bytes() == drawn(tmp_path / "two", "shift,erase").read_bytes()


def test_nothing_is_drawn_without_augmentation(tmp_path: Path) -> None:
    """The report then has no such picture."""
    assert not drawn(tmp_path, "").exists()
