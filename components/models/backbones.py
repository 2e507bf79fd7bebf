"""Backbones: networks of keras.applications without their head, as their ImageNet weights expect them.

A module of components.models.architectures with a backbone has, for train.weights=imagenet:

    IMAGENET          the file of its weights, a components.models.imagenet.ImagenetFile
    imagenet(path)    the network of keras.applications with the weights in *path*
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from components.models.blocks import MOMENTUM, Block
from components.models.config import ModelConfig
from components.system.tensorflow import KerasModel, Tensor

SIDE = 48  # networks that halve the side five times; smaller images are enlarged to this or more
COLOURS = 3


@dataclass(frozen=True)
class Preprocessing:
    """The mean and standard deviation, in units of 255, by which a backbone's weights expect pixels to be scaled."""

    mean: Sequence[float]
    std: Sequence[float]


def backbone(
    config: ModelConfig, network: Callable[[Tensor], KerasModel], preprocessing: Preprocessing | None = None
) -> list[Block]:
    """*network*, a function from images to a network of keras.applications, with a head for the classes.

    With *preprocessing* it gets colour images, scaled as its weights expect them, and otherwise the images as they are.
    """
    from keras import layers

    return [
        *(_preprocessed(config, preprocessing) if preprocessing else []),
        *_enlarged(config),
        lambda images: _adapted(network(images)).output,
        layers.GlobalAveragePooling2D(name="average"),
        layers.Dropout(config.dropout, name="dropout"),
        layers.Dense(config.classes, name="logits"),
    ]


def _preprocessed(config: ModelConfig, wanted: Preprocessing) -> list[Block]:
    """Undo the scaling of `build`, and scale as *wanted*: one factor and one offset for each channel."""
    from keras import layers

    def repeated(values: Sequence[float]) -> list[float]:
        return [*values] * (COLOURS // len(values))

    scale, offset = repeated(config.scale), repeated(config.offset)
    factors = [1 / (255 * s * k) for s, k in zip(wanted.std, scale, strict=True)]
    offsets = [-m / s - o * f for m, s, o, f in zip(wanted.mean, wanted.std, offset, factors, strict=True)]
    rescaling = layers.Rescaling(factors, offsets, dtype="float32", name="preprocessing")
    if config.shape[2] == COLOURS:
        return [rescaling]
    return [lambda grey: layers.Concatenate(dtype="float32", name="colours")([grey] * COLOURS), rescaling]


def _enlarged(config: ModelConfig) -> list[Block]:
    from keras import layers

    factor = math.ceil(SIDE / min(config.shape[:2]))
    return [layers.UpSampling2D(factor, name="enlarged")] if factor > 1 else []


def _adapted(network: KerasModel) -> KerasModel:
    """*network* with averages for trainings of hundreds of steps (MobileNetV2's own momentum is 0.999).

    That also suits fine-tuning: S. Kornblith et al., arXiv:1805.08974, appendix A.5.
    """
    import keras

    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM
    return network
