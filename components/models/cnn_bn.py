"""The convolutional network of the field's tutorials, with batch normalisation and dropout."""

from components.models.knobs import Knobs
from components.models.steps import Step, norm


def cnn_bn(knobs: Knobs) -> list[Step]:
    """Two blocks of 3x3 convolutions, 32 and 64 wide, then a dense layer of 64; ends in one logit per class.

    The width goes for all three; each further block has twice the channels and half the side.
    """
    from keras import layers

    blocks = range(1, knobs.blocks(2) + 1)
    knobs.expect(2 ** len(blocks))
    return [
        *(step for i in blocks for step in _block(i, knobs.channels(2 ** (i + 4)))),
        layers.Flatten(name="flatten"),
        layers.Dense(knobs.channels(64), use_bias=False, name="dense"),
        norm(f"norm{len(blocks) + 1}"),
        layers.ReLU(name=f"relu{len(blocks) + 1}"),
        layers.Dropout(knobs.dropout, name="dropout"),
        layers.Dense(knobs.classes, name="logits"),
    ]


def _block(i: int, channels: int) -> list[Step]:
    """Half the side. Normalising after pooling costs a quarter of normalising before it."""
    from keras import layers

    return [
        layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"conv{i}"),
        layers.MaxPooling2D(name=f"pool{i}"),
        norm(f"norm{i}"),
        layers.ReLU(name=f"relu{i}"),
    ]
