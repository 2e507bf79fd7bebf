"""The default: a CNN with batch normalisation that ends in global max pooling.

Designed for short epochs: convolutions without padding touch a third fewer pixels, and no wide layer runs at the
images' full size.
"""

import math

from components.models.blocks import Block, conv_block
from components.models.config import ModelConfig


def cnn_bn(config: ModelConfig) -> list[Block]:
    """A 5x5 convolution of 24 channels, two 3x3 of 48, one of 96.

    The depth is the number of poolings: 2 for images of up to 45 pixels a side, 3 up to 90, 4 up to 181. Each further
    one brings two convolutions of twice the channels, and a network with more than two begins with 16 channels. Images
    are padded only where they are too small for convolutions without padding.
    75,010 parameters and 2,876,352 multiply-accumulates on MNIST.
    """
    from keras import layers

    poolings = config.blocks(_poolings(min(config.shape[:2])))
    config.require_side(2**poolings)
    first = 24 if poolings <= 2 else 16
    padding = "valid" if min(config.shape[:2]) >= _min_side(poolings) else "same"
    return [
        *conv_block(config.channels(first), "block1", padding, size=5, pool=True),
        *(
            block
            for i in range(2, poolings + 1)
            for part, pool in (("a", False), ("b", True))
            for block in conv_block(config.channels(first * 2 ** (i - 1)), f"block{i}{part}", padding, pool=pool)
        ),
        *conv_block(config.channels(first * 2**poolings), "head", padding),
        layers.GlobalMaxPooling2D(name="strongest"),
        layers.Dropout(config.dropout, name="dropout"),
        layers.Dense(config.classes, name="logits"),
    ]


def _poolings(side: int) -> int:
    """As many as leave about six positions a side before the last convolutions, at least two."""
    return max(2, round(math.log2(max(side, 1) / 8)))


def _min_side(poolings: int) -> int:
    """The smallest side of images for convolutions without padding."""
    side = 3
    for _ in range(poolings - 1):
        side = 2 * side + 4
    return 2 * side + 4
