"""The features of images, whatever the network that they are taken from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.evaluate.features import MOST, feature_predictor, last_inputs
from components.models.saving import read_model, write_model
from components.settings.sections import Train
from components.system.tensorflow import KerasModel, tensorflow
from components.train.calibration import with_temperature
from components.train.ensemble import ensemble
from components.train.network import ImageProperties, untrained_network

DATA: ImageProperties = {"shape": [28, 28, 1], "classes": list("abcd"), "mean": [0.3], "std": [0.2]}
QUICK = ("dense", "cnn", "cnn_bn", "vgg", "resnet", "attention", "tiny")
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), np.uint8)


def network(name: str, precision: str = "float32") -> KerasModel:
    return untrained_network(DATA, Train(model=name), precision)


@pytest.mark.parametrize("name", QUICK)
def test_each_network_has_features_of_length_1(name: str) -> None:
    """The input of the layer that computes the logits, of which more than MOST are summed; float32 in any precision."""
    model = network(name, "mixed_bfloat16")
    (features,) = last_inputs(model)
    assert features is model.get_layer("logits").input
    vectors = feature_predictor(model)(PIXELS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (5, min(MOST, features.shape[1]))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_of_an_ensemble_each_network_has_its_say(tmp_path: Path) -> None:
    """Calibrated, saved and read again: the features of one network after those of the other."""
    models = [network("tiny"), network("dense")]
    write_model(with_temperature(ensemble(models), 1.5), tmp_path / "model.keras")
    vectors = feature_predictor(read_model(tmp_path / "model.keras"))(PIXELS)
    np.testing.assert_allclose(vectors, np.hstack([feature_predictor(m)(PIXELS) for m in models]), atol=1e-5)


def functional(end: str) -> Any:
    tensorflow()
    import keras
    from keras import layers

    pixels = keras.Input((28, 28, 1), dtype="uint8")
    scaled = layers.Rescaling(1 / 255)(pixels)
    if end == "convolution":
        scaled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1)(layers.Conv2D(7, 3, strides=3)(scaled)))
    elif end == "sum":
        flat = layers.Flatten()(scaled)
        scaled = layers.Add()([layers.Dense(4)(flat), layers.Dense(4)(layers.Dense(9)(flat))])
    else:
        scaled = layers.Flatten()(layers.AveragePooling2D(14)(scaled))
    return keras.Model(pixels, layers.Softmax()(scaled))


@pytest.mark.parametrize(("end", "size"), [("convolution", 7), ("sum", MOST + 9), ("nothing to train", 4)])
def test_custom_networks_may_end_otherwise(end: str, size: int) -> None:
    """With a convolution, whose positions are averaged; with two heads; without weights, with the probabilities."""
    assert feature_predictor(functional(end))(PIXELS).shape == (5, size)


def test_many_features_keep_their_cosines() -> None:
    """784 pixels in MOST sums: the cosine of two images is off by less than 0.2, on average by less than 0.05."""
    tensorflow()
    import keras

    pixels = keras.Input((784,), dtype="uint8")
    model = keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(keras.layers.Rescaling(1)(pixels)))
    images = np.random.default_rng(1).integers(0, 256, (40, 784), np.uint8)
    images[20:, :400] = images[:20, :400]
    lengths = np.linalg.norm(images.astype(np.float64), axis=1)
    vectors = feature_predictor(model)(images)
    off = np.abs(vectors @ vectors.T - (images @ images.T.astype(np.float64)) / np.outer(lengths, lengths))
    assert off.max() < 0.2
    assert off.mean() < 0.05
