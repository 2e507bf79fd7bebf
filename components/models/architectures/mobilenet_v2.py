"""MobileNetV2 (arXiv:1801.04381) from keras.applications, narrow, untrained, and fit to small images."""

import math
from typing import Any

from components.models.blocks import MOMENTUM, Step
from components.models.config import Knobs

UNUSED = ("depth",)
PRECISION = "float32"  # its depthwise convolutions: an epoch in bfloat16 takes 1.6 times as long (AVX-512)
ALPHA = 0.35  # its narrowest published width
SIDE = 48  # it halves the side five times; smaller images are enlarged to this or more


def mobilenet_v2(knobs: Knobs) -> list[Step]:
    """The network without its head, on images enlarged by a whole factor; the width multiplies its alpha of 0.35."""
    from keras import layers

    factor = math.ceil(SIDE / min(knobs.shape[:2]))
    return [
        *([layers.UpSampling2D(factor, name="enlarged")] if factor > 1 else []),
        lambda images: _body(images, ALPHA * knobs.width),
        layers.GlobalAveragePooling2D(name="average"),
        layers.Dropout(knobs.dropout, name="dropout"),
        layers.Dense(knobs.classes, name="logits"),
    ]


def _body(images: Any, alpha: float) -> Any:
    """Its layers, continued from *images*, with averages fit for trainings of hundreds of steps (its own are 0.999)."""
    import keras

    body = keras.applications.MobileNetV2(alpha=alpha, include_top=False, weights=None, input_tensor=images)
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM
    return body.output
