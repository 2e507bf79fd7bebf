"""The plain convolutional network of Keras' own tutorial: https://keras.io/examples/vision/mnist_convnet/"""

from components.models.blocks import Block
from components.models.config import ModelConfig

MIN_SIDE = 10  # of images for two blocks without padding


def cnn(config: ModelConfig) -> list[Block]:
    """Two blocks of 3x3 convolutions, 32 and 64 wide, and dropout.

    Each further block has twice the channels and half the side. Images are padded only where they are too small for the
    tutorial's convolutions, which lose a pixel at each edge.
    34,826 parameters and 2,440,960 multiply-accumulates on MNIST.
    """
    from keras import layers

    blocks = range(1, config.blocks(2) + 1)
    config.require_side(2 ** len(blocks))
    padding = "valid" if len(blocks) == 2 and min(config.shape[:2]) >= MIN_SIDE else "same"
    return [
        *(block for i in blocks for block in _block(i, config.channels(2 ** (i + 4)), padding)),
        layers.Flatten(name="flatten"),
        layers.Dropout(config.dropout, name="dropout"),
        layers.Dense(config.classes, name="logits"),
    ]


def _block(i: int, channels: int, padding: str) -> list[Block]:
    from keras import layers

    return [
        layers.Conv2D(channels, 3, padding=padding, activation="relu", name=f"conv{i}"),
        layers.MaxPooling2D(name=f"pool{i}"),
    ]
