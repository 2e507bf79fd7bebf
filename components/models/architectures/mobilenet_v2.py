"""MobileNetV2 (arXiv:1801.04381) from keras.applications, narrow, untrained, for small images."""

import math

from components.models.blocks import MOMENTUM, Block
from components.models.config import ModelConfig
from components.system.tensorflow import Tensor

UNUSED = ("depth",)
PRECISION = "float32"  # its depthwise convolutions: an epoch in bfloat16 takes 1.6 times as long (AVX-512)
ALPHA = 0.35  # its narrowest published width
SIDE = 48  # it halves the side five times; smaller images are enlarged to this or more


def mobilenet_v2(config: ModelConfig) -> list[Block]:
    """The network without its head, on images enlarged by a whole factor; the width multiplies its alpha of 0.35.

    422,730 parameters and 3,957,936 multiply-accumulates on MNIST.
    """
    from keras import layers

    factor = math.ceil(SIDE / min(config.shape[:2]))
    return [
        *([layers.UpSampling2D(factor, name="enlarged")] if factor > 1 else []),
        lambda images: _body(images, ALPHA * config.width),
        layers.GlobalAveragePooling2D(name="average"),
        layers.Dropout(config.dropout, name="dropout"),
        layers.Dense(config.classes, name="logits"),
    ]


def _body(images: Tensor, alpha: float) -> Tensor:
    """Its layers on *images*, with averages for trainings of hundreds of steps (the original's momentum is 0.999)."""
    import keras

    body = keras.applications.MobileNetV2(alpha=alpha, include_top=False, weights=None, input_tensor=images)
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM
    return body.output
