"""The networks: raw pixels in, probabilities out, for any size of image."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.errors import ArtifactCorrupt, ConfigError
from components.export.conversion.onnx import write_onnx
from components.export.conversion.saved_model import write_saved_model
from components.export.conversion.tflite import convert, converter, write_int8
from components.inference.litert_runtime import LiteRT
from components.inference.onnx_runtime import load_onnx
from components.models import build
from components.models.catalog import check, module_of, unused_settings
from components.models.complexity import complexity
from components.models.config import ModelConfig
from components.models.saving import read_model, write_model
from components.settings.sections import MODELS, Train
from tests.components.conftest import bars
from tests.support.model_description import described

ABOUT = described(["a", "b"])
QUICK = [name for name in MODELS if name != "efficientnet_v2_b0"]  # it takes half a minute to build, twice


def built(name: str, **options: Any) -> Any:
    """The network *name* for MNIST."""
    return build.build(name, ModelConfig((28, 28, 1), 10, **options), mean=[0.1], std=[0.3])


@pytest.mark.parametrize(
    ("name", "shape"),
    [(name, shape) for name in QUICK for shape in [(8, 8, 1), (9, 13, 3), (64, 64, 3)]]
    + [("efficientnet_v2_b0", (9, 13, 3))],
)
def test_every_network_takes_any_image_of_eight_pixels_or_more(name: str, shape: tuple[int, int, int]) -> None:
    """Grey or colour, square or not: uint8 or float pixels in, float32 probabilities that sum to one out."""
    channels = shape[2]
    model = build.build(name, ModelConfig(shape, 5), mean=[0.5] * channels, std=[0.2] * channels)
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.uint8)
    probabilities = model(pixels).numpy()
    assert probabilities.shape == (2, 5)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(model(pixels.astype(np.float32)).numpy(), probabilities)


def test_the_networks_are_the_ones_of_the_tutorials() -> None:
    """Two 3x3 convolutions of 32 and 64, each pooled, without padding; and 784-128-10."""
    kernels = {layer.name: layer.kernel.shape for layer in built("cnn").layers if hasattr(layer, "kernel")}
    assert kernels["conv1"] == (3, 3, 1, 32)
    assert kernels["conv2"] == (3, 3, 32, 64)
    assert kernels["logits"] == (5 * 5 * 64, 10)
    assert [w.shape for w in built("dense").weights if w.name == "kernel"] == [(784, 128), (128, 10)]


def documented_cost(name: str) -> tuple[int, int]:
    """Parameters and multiply-accumulates on MNIST, as the docstring of the network states them."""
    documentation = getattr(import_module(module_of(name)), name).__doc__
    cost = re.search(r"([\d,]+) parameters and ([\d,]+) multiply-accumulates on MNIST\.", documentation)
    assert cost
    return int(cost[1].replace(",", "")), int(cost[2].replace(",", ""))


@pytest.mark.parametrize("name", MODELS)
def test_every_network_costs_what_is_documented(name: str) -> None:
    """A changed layer shows in its parameters or in its multiply-accumulates."""
    cost = complexity(built(name))
    assert (cost["parameters"], cost["macs"]) == documented_cost(name)


def test_tiny_is_tiny() -> None:
    """It keeps its promise on MNIST: at most 10,000 parameters."""
    assert built("tiny").count_params() <= 10_000


@pytest.mark.parametrize("name", [name for name in MODELS if "depth" not in unused_settings(name)])
def test_depth_adds_blocks(name: str) -> None:
    """More blocks than the default, or fewer, give another network with the same outputs."""
    deep, shallow = (built(name, depth=depth) for depth in (4, 1))
    assert len(deep.layers) > len(shallow.layers)
    assert deep.output_shape == shallow.output_shape == (None, 10)


@pytest.mark.parametrize("name", [name for name in MODELS if "width" not in unused_settings(name)])
def test_width_applies_to_every_network(name: str) -> None:
    """Twice as wide has more weights; the width of a network with ImageNet weights is fixed."""
    assert built(name, width=2.0).count_params() > 1.5 * documented_cost(name)[0]


@pytest.mark.parametrize("name", ["cnn_bn", "resnet"])
def test_l2_is_part_of_the_loss_and_not_of_the_file(name: str, tmp_path: Path) -> None:
    """One penalty for each trained kernel, of the size that the formula gives; the saved model has none."""
    model = built(name, l2=0.01)
    kernels = [w.numpy() for w in model.trainable_weights if w.name.endswith("kernel")]
    assert len(model.losses) == len(kernels) > 0
    assert float(sum(model.losses)) == pytest.approx(0.01 * sum((k**2).sum() for k in kernels), rel=1e-4)
    write_model(model, tmp_path / "model.keras")
    assert not read_model(tmp_path / "model.keras").losses


def test_images_too_small_for_the_depth_are_rejected() -> None:
    """With the smallest size that is accepted."""
    with pytest.raises(ConfigError, match=r"28 x 28 pixels; this train.model with train.depth=5 takes 32 x 32"):
        built("cnn_bn", depth=5)


@pytest.mark.parametrize(("name", "setting"), [(name, setting) for name in MODELS for setting in unused_settings(name)])
def test_a_setting_that_a_network_cannot_use_is_rejected(name: str, setting: str) -> None:
    """Before anything runs, with the value to leave it at."""
    with pytest.raises(ConfigError, match=rf"train.{setting} is 3.*, which train.model={name} cannot use; leave it at"):
        check(name, Train(**{"model": name, setting: 3}))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name in MODELS if "net_v2" not in name])  # a step of those takes seconds
def test_every_network_learns(name: str) -> None:
    """A dozen steps on one batch of bars bring the loss from chance to well below it."""
    import keras

    keras.utils.set_random_seed(0)
    images, labels = bars(32, seed=0)
    model = build.build(name, ModelConfig((8, 8, 1), 4), mean=[0.3], std=[0.2])
    # step by step: tracing a graph of a hundred layers for a dozen steps would take longer
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy", run_eagerly=True)
    losses = [model.train_on_batch(images, labels) for _ in range(12)]
    assert losses[-1] < 0.7 * losses[0]


def test_attention_is_converted(tmp_path: Path) -> None:
    """TFLite agrees with Keras in float32 and closely in int8: layers that no other test exports."""
    model = built("attention")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1)).astype(np.uint8)
    write_saved_model(model, tmp_path / "saved_model", ABOUT)
    convert(converter(tmp_path / "saved_model"), tmp_path / "float.tflite", ABOUT)
    write_int8(tmp_path / "saved_model", tmp_path / "int8.tflite", pixels, ABOUT)
    expected = model(pixels).numpy()
    for file, tolerance in (("float.tflite", 1e-5), ("int8.tflite", 0.05)):
        np.testing.assert_allclose(LiteRT((tmp_path / file).read_bytes(), threads=1)(pixels), expected, atol=tolerance)


def test_scaling_is_inside_the_model_and_per_channel() -> None:
    """A pixel at the channel's mean becomes 0, one deviation above it 1; a channel of one colour stays finite."""
    model = build.build("dense", ModelConfig((8, 8, 3), 2), mean=[0.2, 0.4, 1.0], std=[0.2, 0.1, 0.0])
    pixels = np.broadcast_to(np.array([51.0, 102.0, 255.0], np.float32), (2, 8, 8, 3)).copy()
    pixels[1] += [51.0, 25.5, 0.0]
    scaled = model.get_layer("scaling")(pixels).numpy()
    np.testing.assert_allclose(scaled[0], 0, atol=1e-5)
    np.testing.assert_allclose(scaled[1, ..., :2], 1, atol=1e-5)


def colour_images(count: int) -> "np.ndarray[Any, Any]":
    return np.random.default_rng(0).integers(0, 128, (count, 12, 12, 3)).astype(np.uint8)


def standardizing() -> Any:
    """A network that standardizes each image by itself; its weights are not trained."""
    import keras

    keras.utils.set_random_seed(0)
    config = ModelConfig((12, 12, 3), 4, standardize="image")
    return build.build("cnn_bn", config, mean=[0.2] * 3, std=[0.1] * 3)


def test_an_image_that_is_standardized_by_itself_may_have_any_light() -> None:
    """Brightness and contrast of each channel change nothing; a blank image is 0, and finite."""
    import keras

    model, images = standardizing(), colour_images(5).astype(np.float32)
    expected = model(images).numpy()
    brighter = images * [2.0, 1.5, 0.5] + [0.0, 60.0, 100.0]
    np.testing.assert_allclose(model(brighter).numpy(), expected, atol=0.01)
    standardized = keras.Model(model.input, model.get_layer("standardization").output)
    np.testing.assert_allclose(standardized(np.full((1, 12, 12, 3), 77, np.uint8)).numpy(), 0, atol=1e-3)
    np.testing.assert_allclose(standardized(images).numpy().mean((1, 2)), 0, atol=1e-5)


def test_the_standardization_of_an_image_is_exported(tmp_path: Path) -> None:
    """TFLite and ONNX agree with Keras in float32, for any number of images, and int8 closely."""
    model, pixels = standardizing(), colour_images(5)
    write_saved_model(model, tmp_path / "saved_model", ABOUT)
    convert(converter(tmp_path / "saved_model"), tmp_path / "float.tflite", ABOUT)
    write_int8(tmp_path / "saved_model", tmp_path / "int8.tflite", pixels, ABOUT)
    write_onnx(tmp_path / "saved_model", tmp_path / "model.onnx", ABOUT)
    expected = model(pixels).numpy()
    for file, tolerance in (("float.tflite", 1e-5), ("int8.tflite", 0.05)):
        np.testing.assert_allclose(LiteRT((tmp_path / file).read_bytes(), threads=1)(pixels), expected, atol=tolerance)
    np.testing.assert_allclose(load_onnx(tmp_path / "model.onnx", threads=1)(pixels), expected, atol=1e-5)


def test_a_network_with_imagenet_weights_keeps_its_own_scaling() -> None:
    """A setting that would change the pixels that they expect is refused in a sentence."""
    with pytest.raises(ConfigError, match=r"scales pixels as its ImageNet weights expect; set train\.standardize=auto"):
        check("mobilenet_v2_backbone", Train(model="mobilenet_v2_backbone", standardize="image"))


@pytest.mark.parametrize("name", QUICK)
def test_equal_models_give_equal_bytes_and_are_loaded_without_running_code(name: str, tmp_path: Path) -> None:
    """Time, addresses and other models of the process do not change the file; safe mode accepts it."""
    paths = [tmp_path / "first.keras", tmp_path / "second.keras"]
    for path in paths:
        model = build.build(name, ModelConfig((12, 12, 1), 3, dropout=0.3), mean=[0.5], std=[0.2])
        model.set_weights([np.full_like(w, 0.1) for w in model.get_weights()])
        write_model(model, path)
        build.build("dense", ModelConfig((8, 8, 1), 3), mean=[0.5], std=[0.2])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    pixels = np.arange(144, dtype=np.uint8).reshape(1, 12, 12, 1)
    np.testing.assert_array_equal(read_model(paths[0])(pixels), model(pixels))


@pytest.mark.parametrize("content", [None, b"", b"no zip", b"PK\x03\x04 cut off"])
def test_a_corrupted_model_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    """A missing, empty, foreign or truncated file raises ArtifactCorrupt with its path."""
    if content is not None:
        (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(ArtifactCorrupt, match=r"model\.keras cannot be read as a Keras model"):
        read_model(tmp_path / "model.keras")


def test_importing_the_training_code_loads_no_tensorflow() -> None:
    """Every module can be imported by a command that computes nothing, without TensorFlow and Keras."""
    modules = ", ".join(
        [
            "components.train.stage",
            "components.models.custom",
            *(f"components.models.architectures.{m}" for m in MODELS),
        ]
    )
    check = f"import sys, {modules}; sys.exit(bool({{'tensorflow', 'keras'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
