"""The training images that look most like an image."""

from pathlib import Path

import numpy as np
import pytest

from components.data.splits import Images, Split, SplitWriter
from pipeline.review import neighbours
from pipeline.review.neighbours import Neighbours


def split_of(folder: Path, images: Images) -> Split:
    with SplitWriter(folder / "train", images.shape[1:]) as out:
        out.add(images, np.zeros(len(images), np.int64))
    return Split(folder / "train")


def noise(count: int, shape: tuple[int, int, int]) -> Images:
    return np.random.default_rng(0).integers(0, 200, (count, *shape), np.uint8)


@pytest.mark.parametrize("shape", [(28, 28, 1), (33, 50, 3), (5, 7, 1), (1, 1, 3)])
def test_the_nearest_is_the_image_itself_however_bright(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    """For sizes that no grid divides, too; images that are left out are not among them."""
    images = noise(40, shape)
    near = Neighbours(split_of(tmp_path, images))
    brighter = images[17] + np.uint8(40)
    if shape != (1, 1, 3):
        first, *_ = near.of(brighter, 5)
        assert (first.position, round(first.likeness, 4)) == (17, 1)
    assert 17 not in {each.position for each in near.of(brighter, 39, [17])}
    assert len(near.of(brighter, 50, [17])) == 39
    likenesses = [each.likeness for each in near.of(brighter, 5)]
    assert likenesses == sorted(likenesses, reverse=True)


def test_of_a_large_split_some_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evenly drawn; an image that is left out and was not drawn takes no place."""
    monkeypatch.setattr(neighbours, "MOST", 10)
    images = noise(91, (8, 8, 1))
    near = Neighbours(split_of(tmp_path, images))
    assert {each.position for each in near.of(images[3], 91)} == set(range(0, 91, 10))
    assert len(near.of(images[3], 91, [3])) == 10


def test_blank_images_are_like_none(tmp_path: Path) -> None:
    """Instead of a division by zero."""
    images = noise(5, (8, 8, 1))
    images[2] = 9
    near = Neighbours(split_of(tmp_path, images))
    assert {each.likeness for each in near.of(images[2], 5)} == {0.0}
