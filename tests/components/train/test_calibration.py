"""Temperature scaling: fitted where it helps, a layer of the model, the same classes as before."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from components.data.splits import SplitWriter
from components.models.saving import read_model, write_model
from components.settings.sections import Train
from components.train.calibration import STEP, calibrate, fit, losses, probabilities, with_temperature
from components.train.ensemble import ensemble
from components.train.network import ImageProperties, untrained_network

CLASSES = list("abcd")
DATA: ImageProperties = {"shape": [8, 8, 1], "classes": CLASSES, "mean": [0.3], "std": [0.2]}


def drawn(n: int, temperature: float, members: int = 1, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits that are *temperature* times too large, and labels drawn with the probabilities of the right ones."""
    rng = np.random.default_rng(seed)
    logits = np.repeat(rng.normal(0, 2, (n, 1, 4)), members, axis=1)
    shares = probabilities(logits, 1.0)
    labels = (shares.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return logits * temperature, labels


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("temperature", [0.5, 2.0, 3.5])
def test_the_temperature_is_found_again(temperature: float, members: int) -> None:
    """To a few percent from 4,000 images, also by an ensemble."""
    logits, labels = drawn(4000, temperature, members)
    assert fit(logits, labels) == pytest.approx(temperature, rel=0.08)
    assert losses(logits, labels, fit(logits, labels)).mean() < losses(logits, labels, 1.0).mean()


def test_probabilities_that_are_right_already_are_left_alone() -> None:
    """The number that fits best by chance does not count: in at most one of ten samples of 500 images."""
    assert sum(fit(*drawn(500, 1.0, seed=seed)) != 1 for seed in range(40)) <= 4


def test_without_mistakes_there_is_nothing_to_fit() -> None:
    """The lower the temperature the better, down to 0: certainty that a handful of images cannot give."""
    logits, _ = drawn(300, 1.0)
    labels = logits[:, 0].argmax(axis=1)
    assert fit(logits, labels) == 1
    labels[:9] = (labels[:9] + 1) % 4
    assert fit(logits, labels) == 1


@given(st.integers(0, 20))
def test_the_search_finds_the_best_of_all_candidates(seed: int) -> None:
    """None of the other powers of 1.02 has a lower loss."""
    logits, labels = drawn(200, 2.5, seed=seed)
    best = fit(logits, labels)
    assert losses(logits, labels, best).mean() <= min(losses(logits, labels, STEP**k).mean() for k in range(-70, 71))


@pytest.fixture
def normalize(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    with SplitWriter(tmp_path / "normalize" / "validation", (8, 8, 1)) as out:
        out.add(rng.integers(0, 256, (400, 8, 8, 1), np.uint8), rng.integers(0, 4, 400))
    return tmp_path / "normalize"


@pytest.mark.parametrize("members", [1, 2])
def test_the_saved_model_divides_its_logits(normalize: Path, tmp_path: Path, members: int) -> None:
    """A network that is sure of noise: its temperature is high, in the file too; weights and classes are as before."""
    models = [untrained_network(DATA, Train(model="dense"), "float32") for _ in range(members)]
    rng = np.random.default_rng(0)
    for model in models:
        model.set_weights([rng.normal(0, 0.2, weight.shape) for weight in model.get_weights()])
    whole = models[0] if members == 1 else ensemble(models)
    calibrated, measured = calibrate(whole, normalize)
    assert measured["temperature"] > 1.5
    assert measured["loss"] < measured["loss_before"]
    assert measured["error"] < measured["error_before"]
    write_model(calibrated, tmp_path / "model.keras", CLASSES)
    read = read_model(tmp_path / "model.keras")
    names = [layer.name for layer in read.layers]
    assert names[-1] == "probabilities"
    assert sum(name.endswith("temperature") for name in names) == members
    assert not any(hasattr(layer, "layers") for layer in read.layers)
    images = rng.integers(0, 256, (50, 8, 8, 1)).astype(np.uint8)
    before, after = (model(images).numpy() for model in (whole, read))
    assert after.max() < before.max()
    if members == 1:
        assert np.array_equal(before.argmax(axis=1), after.argmax(axis=1))
        softened = before.astype(np.float64) ** (1 / measured["temperature"])
        np.testing.assert_allclose(after, softened / softened.sum(axis=1, keepdims=True), atol=1e-5)
    for first, second in zip(whole.get_weights(), read.get_weights(), strict=True):
        assert np.array_equal(first, second)


def test_a_model_that_needs_none_is_returned_as_it_is(normalize: Path) -> None:
    """Equal probabilities for everything: no temperature changes them, and no layer is added."""
    model = untrained_network(DATA, Train(model="dense"), "float32")
    model.set_weights([0 * weight for weight in model.get_weights()])
    same, measured = calibrate(model, normalize)
    assert same is model
    assert measured["temperature"] == 1
    assert measured["loss"] == measured["loss_before"] == pytest.approx(np.log(4))
    assert json.loads(json.dumps(measured)) == measured


def test_a_temperature_can_be_set_on_any_network(normalize: Path) -> None:
    """Each network of the catalogue ends in the layers that it needs."""
    from components.settings.sections import MODELS

    data: ImageProperties = {**DATA, "shape": [32, 32, 1]}
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1)).astype(np.uint8)
    for name in MODELS:
        model = untrained_network(data, Train(model=name), "float32")
        flat = with_temperature(model, 1e6)(images).numpy()
        np.testing.assert_allclose(flat, 0.25, atol=1e-3)
