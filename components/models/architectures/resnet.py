"""A small residual network (arXiv:1512.03385), with the stem pooled so that it costs little more than the CNNs."""

from components.models.blocks import Step, conv, residual
from components.models.config import Knobs


def resnet(knobs: Knobs) -> list[Step]:
    """A pooled 3x3 convolution and three stages of residual blocks, 32, 64 and 128 wide; the depth is blocks per stage.

    Each stage but the first halves the side.
    """
    from keras import layers

    return [
        *conv(knobs.channels(32), "stem"),
        layers.MaxPooling2D(name="pool"),
        *_stage(1, knobs.channels(32), knobs, strides=1),
        *_stage(2, knobs.channels(64), knobs, strides=2),
        *_stage(3, knobs.channels(128), knobs, strides=2),
        layers.GlobalAveragePooling2D(name="average"),
        layers.Dropout(knobs.dropout, name="dropout"),
        layers.Dense(knobs.classes, name="logits"),
    ]


def _stage(number: int, channels: int, knobs: Knobs, *, strides: int) -> list[Step]:
    return [
        residual(channels, f"stage{number}_{block}", strides=strides if block == 1 else 1)
        for block in range(1, knobs.blocks(1) + 1)
    ]
