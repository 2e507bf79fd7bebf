"""A person's own network: train.model=package.module:function, its file in the folder that you start from.

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

The function returns a Sequential or functional keras.Model: float32 images of mean 0 and deviation 1 (N, H, W, C) in,
one logit per class (N, classes) out; scaling goes before it and softmax behind it. A stored model is read where this
code is not, so it may hold only layers and functions of Keras' own, no Lambda and no class of the person's.
"""

import traceback
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from components.errors import ConfigError
from components.models.blocks import Step
from components.models.config import Knobs


def own(name: str, knobs: Knobs) -> list[Step]:
    """The layers of the model that the function *name* returns. Raises ConfigError where it cannot be used."""
    model = _call(name, knobs)
    _expect_shapes(name, model, knobs)
    _expect_storable(name, model)
    return [model.call]  # unlike calling the model, this puts its layers into the graph, not the model as one layer


def _call(name: str, knobs: Knobs) -> Any:
    module, _, function = name.partition(":")
    try:
        return getattr(import_module(module), function)(knobs.shape, knobs.classes)
    except Exception as error:  # whatever a person's code raises
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = next(iter(str(error).strip().splitlines()), "")
        raise ConfigError(
            f"train.model={name} raises {type(error).__name__} in {place.filename}, line {place.lineno}: {reason}"
        ) from error


def _expect_shapes(name: str, model: Any, knobs: Knobs) -> None:
    import keras

    if not isinstance(model, keras.Model):
        raise ConfigError(f"train.model={name} returns {type(model).__name__}; expected a keras.Model")
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *knobs.shape))
    if not getattr(model, "inputs", None):
        raise ConfigError(
            f"train.model={name} returns the class {type(model).__name__}; expected a keras.Sequential, or a "
            "keras.Model made from its inputs and outputs"
        )
    for what, found, expected in (
        ("takes", model.input_shape, (None, *knobs.shape)),
        ("gives", model.output_shape, (None, knobs.classes)),
    ):
        if found != expected:
            raise ConfigError(f"train.model={name} returns a model that {what} {found}; expected {expected}")
    if "float" not in model.inputs[0].dtype:
        raise ConfigError(f"train.model={name} returns a model that takes {model.inputs[0].dtype}; expected float32")


def _expect_storable(name: str, model: Any) -> None:
    """That the model can be read from a file by a process that has Keras and nothing of the person's."""
    import keras

    nested = [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
    if nested:
        raise ConfigError(
            f"train.model={name} holds the model {nested[0]} as one layer; put its layers in instead, by "
            f"{nested[0]}.call(tensor)"
        )
    foreign: list[str] = []
    try:
        with warnings.catch_warnings(action="ignore"):
            config = keras.saving.serialize_keras_object(model)
            foreign = sorted(set(_foreign(config)))
            keras.saving.deserialize_keras_object(config, safe_mode=True)
    except (ValueError, TypeError, NotImplementedError):
        foreign = foreign or ["a Lambda or a function of yours"]
    if foreign:
        raise ConfigError(
            f"train.model={name} cannot be stored without your code, for it holds {', '.join(foreign)}; use layers and "
            "functions of Keras' own"
        )


def _foreign(config: Any) -> Iterator[str]:
    """The classes and functions in *config* that are not of Keras."""
    if isinstance(config, dict):
        module, name = str(config.get("module")), str(config.get("registered_name"))
        if ">" in name or ("class_name" in config and module.partition(".")[0] not in ("keras", "builtins", "None")):
            yield name if ">" in name else f"{module}.{config['class_name']}"
        for value in config.values():
            yield from _foreign(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _foreign(value)
