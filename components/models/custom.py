"""A custom network: train.model=package.module:function, in a file in the current folder or in PYTHONPATH.

    # mynets/small.py, for train.model=mynets.small:small
    import keras
    from keras import layers

    def small(shape, classes):
        return keras.Sequential([
            keras.Input(shape),                       # (H, W, C)
            layers.Conv2D(16, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(classes),                    # logits: no softmax
        ])

The function returns a Sequential or functional keras.Model: float32 images (N, H, W, C), scaled to mean 0 and standard
deviation 1, in; one logit per class (N, classes) out. Scaling is put before it and softmax after it. A stored model is
loaded where this code is not available, so it may hold only Keras' own layers and functions, no Lambda and no class of
the user's.
"""

import traceback
import warnings
from collections.abc import Iterator
from importlib import import_module

from components.errors import ConfigError
from components.models.blocks import Block
from components.models.config import ModelConfig
from components.system.tensorflow import KerasModel


def custom_blocks(name: str, config: ModelConfig) -> list[Block]:
    """The layers of the model that the function *name* returns. Raises ConfigError where it cannot be used."""
    model = _call(name, config)
    _expect_shapes(name, model, config)
    _expect_storable(name, model)
    return [model.call]  # calling the model itself would put it into the graph as one layer


def _call(name: str, config: ModelConfig) -> KerasModel:
    module, _, function = name.partition(":")
    try:
        return getattr(import_module(module), function)(config.shape, config.classes)
    except Exception as error:  # whatever user code raises
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = next(iter(str(error).strip().splitlines()), "")
        raise ConfigError(
            f"train.model={name} raises {type(error).__name__} in {place.filename}, line {place.lineno}: {reason}"
        ) from error


def _expect_shapes(name: str, model: KerasModel, config: ModelConfig) -> None:
    import keras

    if not isinstance(model, keras.Model):
        raise ConfigError(f"train.model={name} returns {type(model).__name__}; expected a keras.Model")
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *config.shape))
    if not getattr(model, "inputs", None):
        raise ConfigError(
            f"train.model={name} returns the class {type(model).__name__}; expected a keras.Sequential, or a "
            "keras.Model made from its inputs and outputs"
        )
    for verb, shape, expected in (
        ("takes", model.input_shape, (None, *config.shape)),
        ("outputs", model.output_shape, (None, config.classes)),
    ):
        if shape != expected:
            raise ConfigError(f"train.model={name} returns a model that {verb} {shape}; expected {expected}")
    if "float" not in model.inputs[0].dtype:
        raise ConfigError(f"train.model={name} returns a model that takes {model.inputs[0].dtype}; expected float32")


def _expect_storable(name: str, model: KerasModel) -> None:
    """Raise ConfigError where the model cannot be loaded from a file without user code."""
    import keras

    nested = [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
    if nested:
        raise ConfigError(
            f"train.model={name} contains the model {nested[0]} as one layer; insert its layers instead, with "
            f"{nested[0]}.call(tensor)"
        )
    foreign: list[str] = []
    try:
        with warnings.catch_warnings(action="ignore"):
            saved = keras.saving.serialize_keras_object(model)
            foreign = sorted(set(_foreign(saved)))
            keras.saving.deserialize_keras_object(saved, safe_mode=True)
    except (ValueError, TypeError, NotImplementedError):
        foreign = foreign or ["a Lambda or a function of your own"]
    if foreign:
        raise ConfigError(
            f"train.model={name} cannot be stored without your code: it contains {', '.join(foreign)}; use Keras' own "
            "layers and functions"
        )


def _foreign(saved: object) -> Iterator[str]:
    """The classes and functions in *saved*, a serialized model, that are not Keras' own."""
    if isinstance(saved, dict):
        module, name = str(saved.get("module")), str(saved.get("registered_name"))
        if ">" in name or ("class_name" in saved and module.partition(".")[0] not in ("keras", "builtins", "None")):
            yield name if ">" in name else f"{module}.{saved['class_name']}"
        for value in saved.values():
            yield from _foreign(value)
    elif isinstance(saved, list | tuple):
        for value in saved:
            yield from _foreign(value)
