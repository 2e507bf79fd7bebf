"""The default: a CNN with batch normalisation that ends in global max pooling.

Designed for short epochs: convolutions without padding touch a third fewer pixels, and no wide layer runs at the
images' full size.
"""

import math

from components.models.blocks import Block, conv_block
from components.models.config import ModelConfig

SHALLOW = 2  # halvings of the side; a deeper network is for images whose first layers would take most of the time


def cnn_bn(config: ModelConfig) -> list[Block]:
    """A 5x5 convolution of 24 channels, two 3x3 of 48, one of 96.

    The depth is how often the side is halved: twice for images of up to 45 pixels, three times up to 90, four times up
    to 181. A network that halves it more than twice begins with 16 channels and a stride instead of a pooling, which
    takes half of the time for the same accuracy, and has one convolution of twice the channels for each further
    halving, two for the last. Images are padded only where they are too small for convolutions without padding.
    75,010 parameters and 2,876,352 multiply-accumulates on MNIST.
    """
    from keras import layers

    halvings = config.blocks(_halvings(min(config.shape[:2])))
    config.require_side(2**halvings)
    padding = "valid" if min(config.shape[:2]) >= _min_side(halvings) else "same"
    first, stem = (24, {"pool": True}) if halvings <= SHALLOW else (16, {"strides": 2})
    blocks = [conv_block(config.channels(first), "block1", padding, size=5, **stem)]
    for i in range(2, halvings + 1):
        channels = config.channels(first * 2 ** (i - 1))
        if i == halvings:
            blocks.append(conv_block(channels, f"block{i}a", padding))
        blocks.append(conv_block(channels, f"block{i}b", padding, pool=True))
    blocks.append(conv_block(config.channels(first * 2**halvings), "head", padding))
    return [
        *(layer for block in blocks for layer in block),
        layers.GlobalMaxPooling2D(name="strongest"),
        layers.Dropout(config.dropout, name="dropout"),
        layers.Dense(config.classes, name="logits"),
    ]


def _halvings(side: int) -> int:
    """As many as leave about six positions a side before the last convolutions, at least two."""
    return max(SHALLOW, round(math.log2(max(side, 1) / 8)))


def _min_side(halvings: int) -> int:
    """The smallest side of images for convolutions without padding."""
    side = 3 + 1  # of the head, and for the second of the last block's convolutions: two pixels before its pooling
    for _ in range(halvings - 1):
        side = 2 * side + 2
    return 2 * side + (4 if halvings <= SHALLOW else 3)
