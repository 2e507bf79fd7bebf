"""How much the colours of an image alone say about its class."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from components.data.colour_skill import MOST_IMAGES, RIDGE, ROOTS, by_regression, colour_skill, root_histograms, skill
from components.data.splits import Split, SplitWriter

CLASSES = 3


def split(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Split:
    with SplitWriter(folder, images.shape[1:]) as writer:
        writer.add(images, labels)
    return Split(folder)


def plain(colours: NDArray[np.uint8], side: int = 6) -> NDArray[np.uint8]:
    """Images (n, side, side, C) of one colour each."""
    return np.repeat(np.repeat(colours[:, None, None, :], side, 1), side, 2)


@pytest.mark.parametrize("channels", [1, 3])
def test_classes_that_differ_in_colour_have_the_score_of_one(tmp_path: Path, channels: int) -> None:
    """Dark, middle and bright images, whatever else is in them."""
    labels = np.arange(300) % CLASSES
    noise = np.random.default_rng(0).integers(0, 40, (300, 6, 6, channels))
    images = (noise + 80 * labels[:, None, None, None]).astype(np.uint8)
    assert colour_skill(split(tmp_path / "split", images, labels), CLASSES) == 1.0


@pytest.mark.parametrize("channels", [1, 3])
def test_classes_of_any_colour_have_a_score_near_zero(tmp_path: Path, channels: int) -> None:
    """Rows or columns of two random colours: the class is in their order alone."""
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 2
    first, second = (plain(rng.integers(0, 256, (600, channels)).astype(np.uint8)) for _ in range(2))
    rows = np.where(np.arange(6)[None, :, None, None] % 2, first, second)
    columns = np.where(np.arange(6)[None, None, :, None] % 2, first, second)
    images = np.where(labels[:, None, None, None] == 0, rows, columns)
    assert abs(colour_skill(split(tmp_path / "split", images, labels), 2)) < 0.1


def test_a_small_spot_in_the_colour_of_its_class_is_found(tmp_path: Path) -> None:
    """Red or green, a fiftieth of an image whose other pixels have any colour: most of the histogram is accidental."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    images = np.repeat(np.repeat(rng.integers(0, 256, (400, 5, 5, 3)), 4, 1), 4, 2).astype(np.uint8)
    for image, label, (row, column) in zip(images, labels, rng.integers(0, 17, (400, 2)), strict=True):
        image[row : row + 3, column : column + 3] = [(230, 20, 20), (20, 230, 20)][label]
    assert colour_skill(split(tmp_path / "split", images, labels), 2) > 0.3


def test_leaving_a_row_out_equals_fitting_without_it() -> None:
    """The class of each row is that of a regression that is fitted on the others."""
    rng = np.random.default_rng(0)
    features = rng.integers(0, 255, (40, 6)).astype(np.float32)
    labels = rng.integers(0, CLASSES, 40)
    expected = []
    for row in range(40):
        others = np.delete(np.arange(40), row)
        rows, wanted = features[others] / ROOTS, np.eye(CLASSES)[labels[others]]
        all_rows = features / ROOTS - (features / ROOTS).mean(0)
        penalty = RIDGE * (all_rows**2).sum() / 6
        centred = rows - rows.mean(0)
        weights = np.linalg.solve(centred.T @ centred + penalty * np.eye(6), centred.T @ (wanted - wanted.mean(0)))
        expected.append((wanted.mean(0) + (features[row] / ROOTS - rows.mean(0)) @ weights).argmax())
    assert by_regression(features, labels, CLASSES).tolist() == expected


def test_a_frequent_class_earns_no_score() -> None:
    """Neighbours of noise answer the frequent class mostly, which is right nine times in ten, and no skill."""
    rng = np.random.default_rng(0)
    labels = (np.arange(500) % 10 == 0).astype(np.int64)
    assert skill(rng.integers(0, 255, (500, 8)).astype(np.float32), labels, 2) <= 0.02


@pytest.mark.parametrize("labels", [[0, 1, 0, 1, 0], [0] * 20])
def test_few_images_or_a_single_class_have_no_score(labels: list[int]) -> None:
    """There is nothing to compare with."""
    features = np.arange(len(labels), dtype=np.float32)[:, None]
    assert skill(features, np.array(labels), 2) == 0.0


def test_the_score_does_not_depend_on_the_order_of_distinct_images(tmp_path: Path) -> None:
    """Nor on how many are in memory at once: distances are whole numbers, and exact."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (700, 8, 8, 3)).astype(np.uint8)
    labels = images[..., 0].mean((1, 2)).argsort().argsort() * CLASSES // 700
    order = rng.permutation(700)
    scores = [
        colour_skill(split(tmp_path / name, images[chosen], labels[chosen]), CLASSES)
        for name, chosen in (("one", np.arange(700)), ("other", order))
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.03)  # equally near neighbours may differ
    assert scores[0] > 0


def test_large_splits_are_sampled_evenly(tmp_path: Path) -> None:
    """Of a split in the order of its classes, images of every class are looked at."""
    labels = np.repeat(np.arange(CLASSES), MOST_IMAGES)
    images = plain((100 * labels[:, None]).astype(np.uint8), side=2)
    assert colour_skill(split(tmp_path / "split", images, labels), CLASSES) == 1.0


def test_no_image_of_the_sample_stays_in_memory(tmp_path: Path) -> None:
    """The kernel counts up to 2 MB for each."""
    labels = np.arange(300) % CLASSES
    images = split(tmp_path / "split", plain(labels[:, None].astype(np.uint8)), labels)
    colour_skill(images, CLASSES)
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
    images.take(np.arange(1))
    assert str(tmp_path) in Path("/proc/self/maps").read_text()


def test_root_histograms_are_whole_numbers_of_a_fixed_length() -> None:
    """The squares of the roots sum to one, in units of 255: distances stay exact in float32."""
    histograms = root_histograms(np.random.default_rng(0).integers(0, 256, (5, 9, 4, 3)).astype(np.uint8))
    assert histograms.shape == (5, 64)
    assert (histograms == np.rint(histograms)).all()
    np.testing.assert_allclose((histograms**2).sum(1), 255**2, rtol=0.05)
