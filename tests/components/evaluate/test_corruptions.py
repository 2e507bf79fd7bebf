from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from components.data import splits
from components.data.splits import Split, SplitWriter
from components.evaluate import corruptions
from components.evaluate.corruptions import KINDS, Kind, choose, corrupt, generator, measure

SHAPES = [(28, 28, 1), (9, 13, 3), (2, 2, 1)]


def pictures(shape: tuple[int, int, int], count: int = 6) -> NDArray[np.uint8]:
    """A bright block off the centre of a dark background."""
    images = np.full((count, *shape), 20, np.uint8)
    images[:, shape[0] // 4 : shape[0] // 2 + 1, shape[1] // 4 : shape[1] // 2 + 1] = 220
    return images


def split_of(folder: Path, labels: NDArray[np.int64], shape: tuple[int, int, int] = (8, 8, 1)) -> Split:
    with SplitWriter(folder / "test", shape) as writer:
        writer.add(np.random.default_rng(0).integers(0, 256, (len(labels), *shape), dtype=np.uint8), labels)
    return Split(folder / "test")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_corruption_takes_any_size_and_channels_and_grows(kind: Kind, shape: tuple[int, int, int]) -> None:
    """Corrupted images are uint8 of the same shape; the strongest differs from the original more than the weakest."""
    images = pictures(shape)
    corrupted = [corrupt(images, kind, strength, generator(kind, 0)) for strength in kind.strengths]
    assert {(c.dtype, c.shape) for c in corrupted} == {(np.dtype(np.uint8), images.shape)}
    off = [np.abs(c.astype(int) - images).mean() for c in corrupted]
    assert off[0] <= off[-1]
    assert shape[0] < 9 or off[-1] > 0  # a blur of a tenth of a pixel is none


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_model_sees_the_same_corrupted_images(kind: Kind) -> None:
    """Two models get the same bytes; the next block of images is corrupted by other random numbers."""
    images = np.random.default_rng(1).integers(0, 256, (5, 12, 12, 1), dtype=np.uint8)
    first, again, other = (corrupt(images, kind, kind.strengths[2], generator(kind, block)) for block in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert kind.name in ("blur", "contrast") or (first != other).any()


def test_shift_and_rotation_move_images_as_numpy_does() -> None:
    """A quarter turn is np.rot90; a shift by whole pixels is np.roll away from the edges."""
    images = pictures((9, 9, 1)).astype(np.float32) / np.float32(255)
    quarter, still = np.full(6, np.pi / 2), np.zeros(6)
    turned = corruptions._move(images, quarter, still, still)
    both = np.rot90(images, 1, (1, 2)), np.rot90(images, -1, (1, 2))
    assert min(np.abs(turned - way).max() for way in both) < 1e-4
    moved = corruptions._move(images, still, np.full(6, 2.0), np.full(6, -1.0))
    np.testing.assert_allclose(moved, np.roll(images, (2, -1), (1, 2)), atol=1e-6)


def test_blur_and_contrast_keep_the_mean_brightness() -> None:
    """Neither makes the image brighter or darker, and both flatten it."""
    images = np.random.default_rng(2).random((3, 20, 20, 3)).astype(np.float32)
    for corrupted in (
        corruptions.blur(images, 0.04, generator(KINDS[1], 0)),
        corruptions.contrast(images, 0.3, generator(KINDS[4], 0)),
    ):
        np.testing.assert_allclose(corrupted.mean(), images.mean(), rtol=0.01)
        assert corrupted.std() < 0.7 * images.std()


def test_the_images_are_chosen_in_proportion_to_their_classes() -> None:
    """Of 900 and 100, a tenth is 90 and 10; the choice is the same each time; few images are all taken."""
    labels = np.repeat([0, 1], [900, 100])
    chosen = choose(labels, 100)
    assert np.bincount(labels[chosen]).tolist() == [90, 10]
    np.testing.assert_array_equal(chosen, choose(labels, 100))
    np.testing.assert_array_equal(choose(labels, 5000), np.arange(1000))


def test_errors_are_counted_per_kind_and_strength_whatever_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that always predicts 0 misclassifies every image of class 1, at every strength."""
    test = split_of(tmp_path, np.arange(40) % 2)
    result = measure(test, lambda images: np.eye(2, dtype=np.float32)[np.zeros(len(images), int)], 40)
    assert (result["n"], result["clean_wrong"], result["mean_error"]) == (40, 20, 0.5)
    assert [kind["wrong"] for kind in result["kinds"]] == [[20] * 5] * 7
    batches = []
    monkeypatch.setattr(splits, "CHUNK_BYTES", 1)
    few = measure(test, lambda images: batches.append(len(images)) or np.zeros((len(images), 2), np.float32), 3)  # type: ignore[func-returns-value]
    assert set(batches) == {1}  # memory is bounded by a block
    assert few["digest"] != result["digest"]


def test_a_sheet_shows_every_kind_at_every_strength(tmp_path: Path) -> None:
    """A row for each kind, the uncorrupted image first, even with fewer images or classes than kinds."""
    assert corruptions.sheet(split_of(tmp_path, np.zeros(2, np.int64))).shape == (7, 6, 8, 8, 1)
