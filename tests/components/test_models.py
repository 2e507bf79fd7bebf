"""The networks: raw pixels in, probabilities out, for any size of image."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from components import models
from components.archive import read_model, write_model
from components.errors import ArtifactCorrupt
from components.models.knobs import Knobs
from components.params import MODELS

MNIST = Knobs((28, 28, 1), 10)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (9, 13, 3)])
def test_every_network_takes_any_image_of_eight_pixels_or_more(name: str, shape: tuple[int, int, int]) -> None:
    """Grey or colour, square or not: uint8 or float pixels in, float32 probabilities that sum to one out."""
    channels = shape[2]
    model = models.build(name, Knobs(shape, 5), mean=[0.5] * channels, std=[0.2] * channels)
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.uint8)
    probabilities = model(pixels).numpy()
    assert probabilities.shape == (2, 5)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(model(pixels.astype(np.float32)).numpy(), probabilities)


def test_the_networks_are_the_ones_of_the_tutorials() -> None:
    """Two 3x3 convolutions of 32 and 64, pooled, then 64; and 784-128-10."""
    cnn_bn = models.build("cnn_bn", MNIST, mean=[0.1], std=[0.3])
    kernels = {layer.name: layer.kernel.shape for layer in cnn_bn.layers if hasattr(layer, "kernel")}
    assert kernels["conv1"] == (3, 3, 1, 32)
    assert kernels["conv2"] == (3, 3, 32, 64)
    assert kernels["dense"] == (7 * 7 * 64, 64)
    assert models.build("cnn", MNIST, mean=[0.1], std=[0.3]).count_params() == 34_826
    dense = models.build("dense", MNIST, mean=[0.1], std=[0.3])
    assert [w.shape for w in dense.weights if w.name == "kernel"] == [(784, 128), (128, 10)]


def test_scaling_is_inside_the_model_and_per_channel() -> None:
    """A pixel at the channel's mean becomes 0, one deviation above it 1; a channel of one colour stays finite."""
    model = models.build("dense", Knobs((8, 8, 3), 2), mean=[0.2, 0.4, 1.0], std=[0.2, 0.1, 0.0])
    pixels = np.broadcast_to(np.array([51.0, 102.0, 255.0], np.float32), (2, 8, 8, 3)).copy()
    pixels[1] += [51.0, 25.5, 0.0]
    scaled = model.get_layer("scaling")(pixels).numpy()
    np.testing.assert_allclose(scaled[0], 0, atol=1e-5)
    np.testing.assert_allclose(scaled[1, ..., :2], 1, atol=1e-5)


def test_a_saved_model_is_read_without_running_code_and_computes_the_same(tmp_path: Path) -> None:
    """Keras' safe mode accepts the file, and what it gives back answers as the model that was saved."""
    model = models.build("cnn_bn", Knobs((12, 12, 1), 3, dropout=0.3), mean=[0.5], std=[0.2])
    write_model(model, tmp_path / "model.keras")
    pixels = np.arange(144, dtype=np.uint8).reshape(1, 12, 12, 1)
    np.testing.assert_array_equal(read_model(tmp_path / "model.keras")(pixels), model(pixels))


def test_equal_models_give_equal_bytes_whatever_was_built_before(tmp_path: Path) -> None:
    """Neither the time, nor addresses, nor other models of the process leave a trace in the file."""
    paths = [tmp_path / "first.keras", tmp_path / "second.keras"]
    for path in paths:
        model = models.build("cnn_bn", Knobs((12, 12, 1), 3), mean=[0.5], std=[0.2])
        model.set_weights([np.ones_like(w) for w in model.get_weights()])
        write_model(model, path)
        models.build("dense", Knobs((8, 8, 1), 3), mean=[0.5], std=[0.2])
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("content", [None, b"", b"no zip", b"PK\x03\x04 cut off"])
def test_a_damaged_model_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    """A missing, empty, foreign or cut off file is an ArtifactCorrupt that says which one."""
    if content is not None:
        (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(ArtifactCorrupt, match=r"model\.keras cannot be read as a Keras model"):
        read_model(tmp_path / "model.keras")


def test_importing_the_training_code_loads_no_tensorflow() -> None:
    """Each module can be imported by a command that computes nothing: neither TensorFlow nor Keras comes with it."""
    modules = "components.train, components.models.cnn_bn, components.models.dense"
    check = f"import sys, {modules}; sys.exit(bool({{'tensorflow', 'keras'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
