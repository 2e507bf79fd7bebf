from pathlib import Path

import numpy as np

from components.data.splits import Split
from components.evaluate import training_labels
from components.evaluate.label_errors import suspect, thresholds
from components.evaluate.stage import measure
from components.models.saving import read_model
from components.settings.sections import Evaluate
from tests.support.digits_dataset import write_digits

SHARE = 0.03


def test_an_image_is_suspect_where_another_class_reaches_its_threshold() -> None:
    """The threshold of class 1 is 0.8: an image labelled 0 is suspect with a probability of 0.85, but not with 0.7."""
    labels = np.array([0, 0, 1, 1, 0, 0])
    given = np.array([0.05, 0.1, 0.9, 0.7, 0.85, 0.7])
    probabilities = np.stack([1 - given, given], axis=1).astype(np.float32)
    bounds = thresholds(labels, probabilities)
    np.testing.assert_allclose(bounds, [(0.95 + 0.9 + 0.15 + 0.3) / 4, 0.8], rtol=1e-6)
    found, suggested = suspect(labels, probabilities, bounds)
    assert (found.tolist(), suggested.tolist()) == ([4], [1])


def test_a_probability_that_is_just_the_threshold_is_enough() -> None:
    """Class 1 is always answered with certainty, so its threshold is 1, and no answer can be above it."""
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[1, 0], [0, 1], [0, 1], [0, 1]], np.float32)
    found, suggested = suspect(labels, probabilities, thresholds(labels, probabilities))
    assert (found.tolist(), suggested.tolist()) == ([1], [1])


def test_suspects_are_ranked_by_margin_and_a_class_without_images_is_never_suggested() -> None:
    """The most confident contradiction comes first; a class without labelled images has no threshold."""
    labels = np.repeat([0, 1], 5)
    probabilities = np.tile(np.eye(3, dtype=np.float32)[[0, 1]].repeat(5, axis=0), 1)
    probabilities[0], probabilities[1], probabilities[5] = (0.1, 0.9, 0), (0, 1, 0), (0, 0, 1)
    bounds = thresholds(labels, probabilities)
    assert np.isinf(bounds[2])
    found, suggested = suspect(labels, probabilities, bounds)
    assert (found.tolist(), suggested.tolist()) == ([1, 0], [1, 1])


def test_labels_flipped_on_purpose_are_found(sound: Path, tmp_path: Path) -> None:
    """With 3 % of the digits' test labels flipped, recall and precision are at least 0.7.

    The bounds leave room for the arithmetic of another machine; the measured figures are printed.
    """
    normalize = write_digits(tmp_path / "normalize", test_noise=SHARE)
    measured = measure(normalize, sound / "out", Evaluate(corruption_images=0, suspects=400))
    right = Split(sound / "normalize" / "test").labels
    flipped = set(np.flatnonzero(Split(normalize / "test").labels != right).tolist())
    suspects = [suspect for suspect in measured.suspects["suspects"] if suspect["split"] == "test"]
    found = {suspect["index"] for suspect in suspects}
    recall, precision = len(found & flipped) / len(flipped), len(found & flipped) / len(found)
    print(f"{len(flipped)} flipped of 360: recall {recall:.2f}, precision {precision:.2f}")
    assert len(flipped) == 11
    assert recall >= 0.7
    assert precision >= 0.7
    assert all(right[s["index"]] == s["predicted"] for s in suspects if s["index"] in flipped)
    assert measured.suspects["splits"]["test"] == {"n": 360, "suspects": len(found)}
    margins = [s["margin"] for s in measured.suspects["suspects"]]
    assert margins == sorted(margins)


def test_training_labels_flipped_on_purpose_are_found(sound: Path, tmp_path: Path) -> None:
    """With 2 % of the digits' training labels flipped, recall and precision are at least 0.7; 0 switches it off."""
    normalize = write_digits(tmp_path / "normalize", noise=0.02, test_noise=0.0)
    measured = measure(normalize, sound / "out", Evaluate(corruption_images=0, suspects=400))
    right = Split(sound / "normalize" / "train").labels
    flipped = set(np.flatnonzero(Split(normalize / "train").labels != right).tolist())
    suspects = measured.suspects["training_suspects"]
    found = {suspect["index"] for suspect in suspects}
    assert len(flipped) == 26
    assert len(found & flipped) >= 0.7 * len(flipped)
    assert len(found & flipped) >= 0.7 * len(found)
    assert measured.suspects["splits"]["train"] == {"n": 1292, "suspects": len(found)}
    rows = [row for row in measured.problems if row.image.split == "train"]
    assert [(row.image.position, row.problem) for row in rows] == [(s["index"], "suspected-label") for s in suspects]
    assert rows[0].detail.startswith(f"may be '{right[suspects[0]['index']]}', the label of ")
    off = measure(normalize, sound / "out", Evaluate(corruption_images=0, suspects=400, training_labels=0))
    assert "train" not in off.suspects["splits"]
    np.testing.assert_array_equal(off.probabilities, measured.probabilities)


def test_of_many_images_some_are_looked_at(sound: Path) -> None:
    """Evenly drawn from training and validation, so that the time is bounded; the indices are those of the split."""
    split, validation = (Split(sound / "normalize" / name) for name in ("train", "validation"))
    count, suspects = training_labels.find(read_model(sound / "out" / "model.keras"), split, validation, 500)
    assert 400 < count["n"] < 500
    assert all(split.labels[suspect["index"]] == suspect["truth"] for suspect in suspects)
