"""The plain convolutional network of Keras' own tutorial: https://keras.io/examples/vision/mnist_convnet/"""

from components.models.blocks import Step
from components.models.config import Knobs

ROOM = 10  # the smallest side that two blocks without padding leave something of


def cnn(knobs: Knobs) -> list[Step]:
    """Two blocks of 3x3 convolutions, 32 and 64 wide, and dropout; 34,826 parameters on MNIST.

    Each further block has twice the channels and half the side. Only images too small for the tutorial's convolutions,
    which lose a pixel at each edge, are padded.
    """
    from keras import layers

    blocks = range(1, knobs.blocks(2) + 1)
    knobs.expect(2 ** len(blocks))
    padding = "valid" if len(blocks) == 2 and min(knobs.shape[:2]) >= ROOM else "same"
    return [
        *(step for i in blocks for step in _block(i, knobs.channels(2 ** (i + 4)), padding)),
        layers.Flatten(name="flatten"),
        layers.Dropout(knobs.dropout, name="dropout"),
        layers.Dense(knobs.classes, name="logits"),
    ]


def _block(i: int, channels: int, padding: str) -> list[Step]:
    from keras import layers

    return [
        layers.Conv2D(channels, 3, padding=padding, activation="relu", name=f"conv{i}"),
        layers.MaxPooling2D(name=f"pool{i}"),
    ]
