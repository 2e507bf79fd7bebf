"""The plain dense network: 784-128-10 on MNIST."""

from components.models.blocks import Block
from components.models.config import ModelConfig


def dense(config: ModelConfig) -> list[Block]:
    """One hidden layer of 128 units, or as many as the depth says, each of that width.

    101,770 parameters and 101,632 multiply-accumulates on MNIST.
    """
    from keras import layers

    names = ["hidden", *(f"hidden{i}" for i in range(2, config.blocks(1) + 1))]
    return [
        layers.Flatten(name="flatten"),
        *(layers.Dense(config.channels(128), activation="relu", name=name) for name in names),
        layers.Dropout(config.dropout, name="dropout"),
        layers.Dense(config.classes, name="logits"),
    ]
