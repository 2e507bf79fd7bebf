"""The plain dense network: 784-128-10 on MNIST."""

from components.models.blocks import Step
from components.models.config import Knobs


def dense(knobs: Knobs) -> list[Step]:
    """One hidden layer of 128 units, or as many as the depth says, each that wide; 101,770 parameters on MNIST."""
    from keras import layers

    names = ["hidden", *(f"hidden{i}" for i in range(2, knobs.blocks(1) + 1))]
    return [
        layers.Flatten(name="flatten"),
        *(layers.Dense(knobs.channels(128), activation="relu", name=name) for name in names),
        layers.Dropout(knobs.dropout, name="dropout"),
        layers.Dense(knobs.classes, name="logits"),
    ]
