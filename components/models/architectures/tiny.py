"""At most 10,000 parameters, for a microcontroller."""

from components.models.blocks import Block, conv_block
from components.models.config import ModelConfig

UNUSED = ("depth",)
MIN_SIDE = 22  # of images for convolutions without padding


def tiny(config: ModelConfig) -> list[Block]:
    """A 5x5 convolution of 12 channels, pooled, four 3x3 of 16, then global max pooling.

    With few parameters, depth brings more than width. Images are padded only where they are too small for convolutions
    without padding.
    9,414 parameters and 613,024 multiply-accumulates on MNIST.
    """
    from keras import layers

    padding = "valid" if min(config.shape[:2]) >= MIN_SIDE else "same"
    channels = config.channels(16)
    return [
        *conv_block(config.channels(12), "block1", padding, size=5, pool=True),
        *(block for i in range(2, 6) for block in conv_block(channels, f"block{i}", padding)),
        layers.GlobalMaxPooling2D(name="strongest"),
        layers.Dropout(config.dropout, name="dropout"),
        layers.Dense(config.classes, name="logits"),
    ]
