"""Build a network by its name: uint8 pixels in, probabilities out.

A network is imported by its name when it is built, so a change of one leaves the artifacts of the others as they are
(components.models.catalog).
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module

from components.models.blocks import Block, chain
from components.models.catalog import is_custom
from components.models.config import ModelConfig
from components.settings.sections import PER_IMAGE
from components.system.tensorflow import KerasModel, tensorflow

BLANK = 0.01  # added to the variance of an image, in units of the training images' variance: a blank image stays 0
FLAT = 1e-6  # a standard deviation below this is a channel of one colour: nothing to scale by


def build(
    name: str, config: ModelConfig, *, mean: Sequence[float], std: Sequence[float], precision: str = "float32"
) -> KerasModel:
    """The untrained network *name*: uint8 pixels 0..255 (N, H, W, C) in, float32 probabilities (N, classes) out.

    *mean* and *std* hold one number per channel in units of 255. Scaling is the first layer, so whatever is exported
    from the model takes raw pixels. With config.standardize "image", each channel of each image then gets mean 0 and
    variance 1 (instance normalization, arXiv:1607.08022, without weights). It is one flat functional model whose layers
    have fixed names.
    Raises ConfigError where the images are too small for the network, or a custom network cannot be used.
    """
    tensorflow()
    import keras

    scale = [1 / (255 * s) if s > FLAT else 1 / 255 for s in std]
    offset = [-255 * m * k for m, k in zip(mean, scale, strict=True)]
    with _policy(precision):
        pixels = keras.Input(tuple(config.shape), dtype="uint8", name="pixels")
        blocks = [
            keras.layers.Rescaling(scale, offset, dtype="float32", name="scaling"),
            *_standardization(config),
            *_blocks(name, replace(config, scale=tuple(scale), offset=tuple(offset))),
            keras.layers.Activation("softmax", dtype="float32", name="probabilities"),
        ]
        model = keras.Model(pixels, chain(pixels, blocks), name=name.rpartition(":")[2])
    _renumber_layers(model)
    _add_l2_penalty(model, config.l2)
    return model


def _standardization(config: ModelConfig) -> list[Block]:
    from keras import layers

    if config.standardize != PER_IMAGE:
        return []
    return [
        layers.LayerNormalization([1, 2], BLANK, center=False, scale=False, dtype="float32", name="standardization")
    ]


def _blocks(name: str, config: ModelConfig) -> list[Block]:
    if is_custom(name):
        blocks: list[Block] = import_module("components.models.custom").custom_blocks(name, config)
    else:
        blocks = getattr(import_module(f"components.models.architectures.{name}"), name)(config)
    return blocks


@contextmanager
def _policy(precision: str) -> Iterator[None]:
    """Build layers in *precision*, and leave the process's own policy as it was."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _renumber_layers(model: KerasModel) -> None:
    """Number the layers without names of their own as those of the first model of a process."""
    counts: dict[str, int] = {}
    for operation in model.operations:
        default = re.sub(r"_\d+$", "", operation.name)
        if default.replace("_", "") == type(operation).__name__.lower():
            counts[default] = counts.get(default, 0) + 1
            operation.name = default if counts[default] == 1 else f"{default}_{counts[default] - 1}"


def _add_l2_penalty(model: KerasModel, l2: float) -> None:
    """Add l2 times the squares of each kernel, but of no bias and no normalisation, to the training loss of *model*.

    It is set on the variables, not in the layers' settings, so that it stays out of the saved model.
    """
    import keras

    if l2:
        for weight in model.trainable_weights:
            if weight.name.endswith("kernel"):
                weight.regularizer = keras.regularizers.L2(l2)
