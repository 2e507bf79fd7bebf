"""Stacked 3x3 convolutions on large images, as in VGG (arXiv:1409.1556), batch-normalised: the most accurate one."""

from components.models.blocks import Block, conv_block
from components.models.config import ModelConfig

UNUSED = ("depth",)
MIN_SIDE = 24  # of images for convolutions without padding


def vgg(config: ModelConfig) -> list[Block]:
    """Two convolutions of 32 and 48 channels, pooled, three of 64, 64 and 96, pooled, and one of 128.

    Where `cnn_bn` pools at once, two convolutions see the images at their full size here. Images are padded only where
    they are too small for convolutions without padding.
    247,530 parameters and 18,591,104 multiply-accumulates on MNIST.
    """
    from keras import layers

    config.require_side(4)
    padding = "valid" if min(config.shape[:2]) >= MIN_SIDE else "same"
    return [
        *conv_block(config.channels(32), "block1a", padding),
        *conv_block(config.channels(48), "block1b", padding, pool=True),
        *conv_block(config.channels(64), "block2a", padding),
        *conv_block(config.channels(64), "block2b", "same"),
        *conv_block(config.channels(96), "block2c", padding, pool=True),
        layers.Dropout(config.dropout, name="dropout2"),
        *conv_block(config.channels(128), "head", padding),
        layers.GlobalMaxPooling2D(name="strongest"),
        layers.Dropout(config.dropout, name="dropout"),
        layers.Dense(config.classes, name="logits"),
    ]
