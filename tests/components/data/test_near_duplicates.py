"""Near duplicates: which are found, and that the search is bounded."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from components.data import near_duplicates
from components.data.near_duplicates import difference_hashes, near_pairs, searched
from components.data.pixels import deviations, hashes
from components.data.splits import Images
from tests.support.photographs import photographs, resized, saved_again


def found(images: Images) -> list[tuple[int, int]]:
    pairs = near_pairs(difference_hashes(images), hashes(images), deviations(images), images.__getitem__)
    return [(int(i), int(j)) for i, j in pairs]


def brighter(image: Images) -> Images:
    return (30 + image * 0.85).astype(np.uint8)


@pytest.mark.parametrize("change", [saved_again, resized, brighter])
@pytest.mark.parametrize("size", [64, 100])
def test_a_changed_copy_is_found(change: Callable[[Images], Images], size: int) -> None:
    """Saved again, resized or made brighter: each pair is found, and no other."""
    images = photographs(60, size)
    images[[50, 7, 31]] = [change(images[i]) for i in (3, 20, 44)]
    assert found(images) == [(7, 20), (31, 44), (3, 50)]


def test_equal_images_are_copies_and_no_near_duplicates() -> None:
    """They are reported as duplicates."""
    images = photographs(20)
    images[4] = images[9]
    assert found(images) == []


def test_images_of_one_kind_are_told_apart() -> None:
    """Discs of different size on black share their difference hashes; so do images of one colour and of noise."""
    y, x = np.mgrid[:64, :64] - 32
    radii = np.linspace(8, 30, 12).reshape(-1, 1, 1, 1)
    discs = (np.hypot(x, y)[..., np.newaxis] < radii) * np.uint8(255)
    noise = np.random.default_rng(0).integers(100, 104, (12, 64, 64, 1), np.uint8)
    assert len(set(difference_hashes(noise).tolist())) == 1
    assert found(np.concatenate([discs, noise])) == []


def test_colours_tell_images_apart() -> None:
    """Two drawings that are equal but for their colours are no near duplicates."""
    images = photographs(1)[[0, 0]]
    images[1] = images[1][..., [1, 2, 0]]
    assert found(images) == []


def test_the_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many images resemble each other, few are compared, and fewer read."""
    monkeypatch.setattr(near_duplicates, "MOST_PAIRS", 100)
    monkeypatch.setattr(near_duplicates, "PAIRS_AT_ONCE", 30)
    image, images_read = photographs(1)[0], list[int]()
    images = np.clip(image + np.random.default_rng(0).integers(-3, 4, (500, 64, 64, 3)), 0, 255).astype(np.uint8)

    def read(indices: NDArray[np.int64]) -> Images:
        images_read.append(len(indices))
        chosen: Images = images[indices]
        return chosen

    assert len(near_pairs(difference_hashes(images), hashes(images), deviations(images), read)) == 100
    assert sum(images_read) == 2 * 100 + 1
    assert max(images_read) == 30


def test_small_images_are_not_searched() -> None:
    """A difference hash calls most pairs of digits equal."""
    assert searched((64, 80, 3))
    assert not searched((63, 200, 1))
