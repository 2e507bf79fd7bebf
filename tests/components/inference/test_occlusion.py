"""What an answer hangs on: the parts of the image that, covered, make it less likely."""

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Images
from components.inference.occlusion import BATCH, PLACES, occlusion
from components.models.prediction import Probabilities


def answers(rows: slice, columns: slice, ground: int = 0) -> "tuple[Images, Recorded]":
    """An image with one bright patch, and a model that is as sure of class 1 as the patch is bright."""
    image = np.full((28, 28, 1), ground, np.uint8)
    image[rows, columns] = 255
    return image, Recorded(rows, columns, ground)


class Recorded:
    def __init__(self, rows: slice, columns: slice, ground: int) -> None:
        self._place, self._ground = (slice(None), rows, columns), ground
        self.batches: list[Images] = []

    def __call__(self, images: Images) -> Probabilities:
        self.batches.append(images)
        sure = (images[self._place].mean(axis=(1, 2, 3)) - self._ground) / (255 - self._ground)
        return np.stack([1 - sure, sure], axis=1).astype(np.float32)


def strongest(falls: NDArray[np.float32]) -> tuple[int, int]:
    row, column = np.unravel_index(int(falls.argmax()), falls.shape)
    return int(row), int(column)


def test_the_part_that_decides_stands_out() -> None:
    """The map is highest on it, and zero where no patch reaches it."""
    image, model = answers(slice(4, 8), slice(18, 22))
    falls = occlusion(image, model)
    assert falls.shape == (28, 28)
    row, column = strongest(falls)
    assert 4 <= row < 8
    assert 18 <= column < 22
    assert 0 < falls.max() <= 1
    assert falls[16:].max() == falls[:, :12].max() == 0


def test_every_pixel_is_covered_in_images_of_any_size() -> None:
    """Oblong and small ones, and those larger than the places that a patch is moved to."""
    for shape in ((28, 28, 1), (3, 5, 3), (1, 1, 1), (97, 31, 3)):
        image = np.full(shape, 255, np.uint8)
        image[0, 0] = 0

        def model(images: Images) -> Probabilities:
            return np.full((len(images), 2), 0.5, np.float32)

        assert np.isfinite(occlusion(image, model)).all()


def test_a_patch_has_the_colour_of_the_rim() -> None:
    """Bright paper is covered by bright paper: grey there would be ink."""
    image, model = answers(slice(10, 14), slice(10, 14), ground=90)
    occlusion(image, model)
    covered = np.concatenate(model.batches[1:])
    assert set(np.unique(covered)) == {90, 255}
    assert len(covered) <= PLACES**2


def test_images_are_classified_in_batches() -> None:
    """So that large ones fit in memory; the image itself comes first."""
    image, model = answers(slice(4, 8), slice(4, 8))
    occlusion(image, model)
    sizes = [len(batch) for batch in model.batches]
    assert sizes[0] == 1
    assert max(sizes) == BATCH


def test_what_speaks_against_the_answer_is_negative() -> None:
    """Where covering a part makes the answer more likely."""
    image = np.zeros((28, 28, 1), np.uint8)
    image[4:8, 4:8] = 255

    def doubting(images: Images) -> Probabilities:
        doubt = images[:, 4:8, 4:8].mean(axis=(1, 2, 3)) / 255 * 0.4
        return np.stack([1 - doubt, doubt], axis=1).astype(np.float32)

    assert occlusion(image, doubting).min() < -0.2
