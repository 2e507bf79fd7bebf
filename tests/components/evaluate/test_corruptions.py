from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from components.data import chunks
from components.data.splits import Split, SplitWriter
from components.evaluate import corruptions
from components.evaluate.corruptions import KINDS, Kind, choose, corrupt, dice, measure

SHAPES = [(28, 28, 1), (9, 13, 3), (2, 2, 1)]


def pictures(shape: tuple[int, int, int], count: int = 6) -> NDArray[np.uint8]:
    """A bright block off the middle of a dark ground."""
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
    """The spoilt images are uint8 of the same shape; the strongest differs from the original more than the weakest."""
    images = pictures(shape)
    spoilt = [corrupt(images, kind, strength, dice(kind, 0)) for strength in kind.strengths]
    assert {(s.dtype, s.shape) for s in spoilt} == {(np.dtype(np.uint8), images.shape)}
    off = [np.abs(s.astype(int) - images).mean() for s in spoilt]
    assert off[0] <= off[-1]
    assert shape[0] < 9 or off[-1] > 0  # a blur of a tenth of a pixel is none


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_same_dice_fall_for_every_model(kind: Kind) -> None:
    """Two models are asked about the same bytes; the next block of images gets other dice."""
    images = np.random.default_rng(1).integers(0, 256, (5, 12, 12, 1), dtype=np.uint8)
    first, again, other = (corrupt(images, kind, kind.strengths[2], dice(kind, block)) for block in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert kind.name in ("blur", "contrast") or (first != other).any()


def test_images_go_where_shift_and_rotation_say() -> None:
    """A quarter turn is one of numpy's, a shift by whole pixels is its roll where no edge is met."""
    images = pictures((9, 9, 1)).astype(np.float32) / np.float32(255)
    quarter, still = np.full(6, np.pi / 2), np.zeros(6)
    turned = corruptions._moved(images, quarter, still, still)
    both = np.rot90(images, 1, (1, 2)), np.rot90(images, -1, (1, 2))
    assert min(np.abs(turned - way).max() for way in both) < 1e-4
    moved = corruptions._moved(images, still, np.full(6, 2.0), np.full(6, -1.0))
    np.testing.assert_allclose(moved, np.roll(images, (2, -1), (1, 2)), atol=1e-6)


def test_a_blur_keeps_the_light_and_a_lower_contrast_the_mean() -> None:
    """Neither makes the image brighter or darker."""
    images = np.random.default_rng(2).random((3, 20, 20, 3)).astype(np.float32)
    for spoilt in (
        corruptions.blur(images, 0.04, dice(KINDS[1], 0)),
        corruptions.contrast(images, 0.3, dice(KINDS[4], 0)),
    ):
        np.testing.assert_allclose(spoilt.mean(), images.mean(), rtol=0.01)
        assert spoilt.std() < 0.7 * images.std()


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
    """A model that answers 0 is wrong about every image of class 1, everywhere; means and digest follow from it."""
    test = split_of(tmp_path, np.arange(40) % 2)
    told = measure(test, lambda images: np.eye(2, dtype=np.float32)[np.zeros(len(images), int)], 40)
    assert (told["n"], told["clean_wrong"], told["mean_error"]) == (40, 20, 0.5)
    assert [kind["wrong"] for kind in told["kinds"]] == [[20] * 5] * 7
    asked = []
    monkeypatch.setattr(chunks, "BYTES", 1)
    few = measure(test, lambda images: asked.append(len(images)) or np.zeros((len(images), 2), np.float32), 3)  # type: ignore[func-returns-value]
    assert set(asked) == {1}  # memory is that of a block
    assert few["digest"] != told["digest"]


def test_a_sheet_shows_every_kind_at_every_strength(tmp_path: Path) -> None:
    """A row a kind, the image as it is first; fewer images or classes than kinds will do."""
    assert corruptions.sheet(split_of(tmp_path, np.zeros(2, np.int64))).shape == (7, 6, 8, 8, 1)
