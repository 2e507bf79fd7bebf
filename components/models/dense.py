"""The plain dense network: 784-128-10 on MNIST."""

from typing import Any


def dense(classes: int, dropout: float) -> list[Any]:
    """One hidden layer of 128 units; ends in one logit per class."""
    from keras import layers

    return [
        layers.Flatten(name="flatten"),
        layers.Dense(128, activation="relu", name="hidden"),
        layers.Dropout(dropout, name="dropout"),
        layers.Dense(classes, name="logits"),
    ]
