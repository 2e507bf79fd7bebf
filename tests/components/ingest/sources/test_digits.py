"""The digits of scikit-learn."""

from pathlib import Path

import numpy as np

from components.ingest.sources import digits
from components.settings.sections import Ingest

PARAMS = Ingest(source="digits")


def splits() -> dict[str, tuple["np.ndarray[tuple[int, ...], np.dtype[np.uint8]]", list[int]]]:
    return {split: (images, labels.tolist()) for split, images, labels in digits.read(PARAMS, Path()).blocks}


def test_every_digit_is_read_once() -> None:
    """1,797 images of 28 x 28, a fifth of them in the test split, none in both splits."""
    read = splits()
    assert {split: images.shape for split, (images, _) in read.items()} == {
        "train": (1437, 28, 28, 1),
        "test": (360, 28, 28, 1),
    }
    distinct = {image.tobytes() for images, _ in read.values() for image in images}
    assert len(distinct) == 1797


def test_the_digits_are_those_of_scikit_learn() -> None:
    """Read from its file, pixels and labels are what the library's own function returns."""
    from sklearn.datasets import load_digits

    expected_digits = load_digits()
    expected = [image.tobytes() for image in digits._enlarged(expected_digits.images.astype(np.int64))]
    read = {
        image.tobytes(): label
        for images, labels in splits().values()
        for image, label in zip(images, labels, strict=True)
    }
    assert [read[image] for image in expected] == expected_digits.target.tolist()


def test_the_split_is_fixed_and_every_class_has_its_share() -> None:
    """Two readings are equal, and each digit has 36 test images."""
    first, second = splits(), splits()
    assert all((first[split][0] == second[split][0]).all() for split in first)
    assert np.bincount(first["test"][1]).tolist() == [36] * 10


def test_the_enlargement_is_smooth_and_uses_the_whole_range() -> None:
    """Pixels span 0 to 255, with far more greys than the 17 of the originals."""
    images = splits()["train"][0]
    assert images.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 255)
    assert len(np.unique(images)) > 200


def test_the_fingerprint_names_the_libraries_that_make_the_pixels() -> None:
    """Another scikit-learn or Pillow is another source."""
    fingerprint = digits.fingerprint(PARAMS, Path())
    assert "scikit-learn" in fingerprint
    assert "pillow" in fingerprint
    assert digits.read(PARAMS, Path()).fingerprint() == fingerprint
