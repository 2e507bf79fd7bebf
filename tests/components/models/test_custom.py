"""Custom networks: what is accepted, and the message for each mistake."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.errors import ConfigError
from components.models import build as models
from components.models.catalog import check
from components.models.config import ModelConfig
from components.models.saving import read_model, write_model
from components.settings.sections import Train

CONFIG = ModelConfig((8, 8, 1), 4)
HEAD = "import keras\nfrom keras import layers\n"
NETWORKS = {
    "sequential": "return flat(keras.Input(shape), layers.Dense(classes))",
    "unbuilt": "return keras.Sequential([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(classes)])",
    "functional": (
        "images = keras.Input(shape)\n    x = layers.Conv2D(4, 3)(images)\n    x = keras.ops.relu(x) + x\n"
        "    return keras.Model(images, layers.Dense(classes)(layers.Flatten()(x)))"
    ),
    "raising": "raise RuntimeError('no such shape')",
    "nothing": "return None",
    "subclass": "return type('Mine', (keras.Model,), {'call': lambda self, x: x})()",
    "larger": "return flat(keras.Input((9, 9, 1)), layers.Dense(classes))",
    "fewer": "return flat(keras.Input(shape), layers.Dense(classes - 1))",
    "integers": "return flat(keras.Input(shape, dtype='uint8'), layers.Dense(classes))",
    "code": "return flat(keras.Input(shape), layers.Lambda(lambda x: x), layers.Dense(classes))",
    "activated": "return flat(keras.Input(shape), layers.Dense(classes, activation=mine))",
    "registered": "return flat(keras.Input(shape), Mine(), layers.Dense(classes))",
    "nested": "return keras.Sequential([keras.Input(shape), sequential(shape, 9), layers.Dense(classes)])",
}
MORE = (
    "def flat(images, *more):\n    return keras.Sequential([images, layers.Flatten(), *more])\n\n\n"
    "def mine(x):\n    return x\n\n\n"
    "@keras.saving.register_keras_serializable('theirs')\n"
    "class Mine(layers.Layer):\n    def call(self, x):\n        return x\n"
)


@pytest.fixture(scope="module", autouse=True)
def mynets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The package `mynets`, with a module `nets` of one function per network above, where Python finds it."""
    root = tmp_path_factory.mktemp("custom")
    (root / "mynets").mkdir()
    (root / "mynets/__init__.py").touch()
    functions = "".join(f"\n\ndef {name}(shape, classes):\n    {body}\n" for name, body in NETWORKS.items())
    (root / "mynets/nets.py").write_text(f"{HEAD}\n\n{MORE}{functions}")
    (root / "mynets/broken.py").write_text("def net(:\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root)
        yield


def build(name: str, precision: str = "float32") -> Any:
    return models.build(f"mynets.nets:{name}", CONFIG, mean=[0.5], std=[0.2], precision=precision)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["sequential", "unbuilt", "functional"])
def test_it_becomes_one_flat_model_between_scaling_and_softmax(name: str, precision: str, tmp_path: Path) -> None:
    """uint8 pixels in, probabilities out, no model inside the model; equal bytes whatever was built before."""
    paths = [tmp_path / "first.keras", tmp_path / "second.keras"]
    for path in paths:
        model = build(name, precision)
        assert [layer.name for layer in model.layers[:2]] == ["pixels", "scaling"]
        assert not any(hasattr(layer, "layers") for layer in model.layers)
        model.set_weights([np.full_like(w, 0.1) for w in model.get_weights()])
        write_model(model, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1)).astype(np.uint8)
    probabilities = read_model(paths[0])(pixels).numpy()
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(probabilities, model(pixels))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raising", r"raises RuntimeError in .*nets\.py, line \d+: no such shape"),
        ("nothing", "returns NoneType; expected a keras.Model"),
        ("subclass", "returns the class Mine; expected a keras.Sequential, or a keras.Model made from its inputs"),
        ("larger", r"returns a model that takes \(None, 9, 9, 1\); expected \(None, 8, 8, 1\)"),
        ("fewer", r"returns a model that outputs \(None, 3\); expected \(None, 4\)"),
        ("integers", "returns a model that takes uint8; expected float32"),
        ("code", "cannot be stored without your code: it contains a Lambda or a function of your own"),
        ("activated", "cannot be stored without your code: it contains a Lambda or a function of your own"),
        ("registered", "cannot be stored without your code: it contains theirs>Mine"),
        (
            "nested",
            r"contains the model sequential\w* as one layer; insert its layers instead, with ",
        ),
    ],
)
def test_a_model_that_cannot_be_used_is_rejected_in_one_sentence(name: str, message: str) -> None:
    """Before any image is read: which network, what it returned, what was expected."""
    with pytest.raises(ConfigError, match=rf"^train\.model=mynets\.nets:{name} {message}") as error:
        build(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.nets:net", "there is no module nowhere.nets; expected a Python file in the current folder"),
        ("mynets.none:net", "there is no module mynets.none"),
        ("mynets.nets:sequentail", r"nets\.py has no function sequentail; did you mean 'sequential'\?"),
        ("mynets.broken:net", r"broken\.py, line 1 is not valid Python: invalid syntax"),
    ],
)
def test_a_missing_function_is_reported_without_running_anything(name: str, message: str) -> None:
    """When the settings are read; user code is not imported for it."""
    with pytest.raises(ConfigError, match=message):
        check(name, Train(model=name))


def test_settings_that_a_custom_network_does_not_get_are_rejected() -> None:
    """It gets shape and classes alone: a changed width or dropout would have no effect."""
    with pytest.raises(
        ConfigError, match=r"train\.width is 2\.0, which train\.model=mynets\.nets:sequential cannot use"
    ):
        check("mynets.nets:sequential", Train(model="mynets.nets:sequential", width=2.0))


@pytest.mark.parametrize("name", ["cnm", "mynets:", ":net", "my nets:net", "mynets.nets", "mynets.nets:net:more"])
def test_an_unknown_network_is_rejected_with_the_known_ones(name: str) -> None:
    """And with the form of a custom network."""
    with pytest.raises(ConfigError, match=r"expected one of attention, .*, or package\.module:function"):
        Train(model=name)
