"""A small CNN with attention to its channels: squeeze-and-excitation, arXiv:1709.01507."""

from components.models.blocks import Step, norm, squeeze_excite
from components.models.config import Knobs


def attention(knobs: Knobs) -> list[Step]:
    """Three blocks of a 3x3 convolution and squeeze-and-excitation, 32, 64 and 128 wide, then the average.

    Each further block has twice the channels and half the side.
    """
    from keras import layers

    blocks = range(1, knobs.blocks(3) + 1)
    knobs.expect(2 ** len(blocks))
    return [
        *(step for i in blocks for step in _block(i, knobs.channels(2 ** (i + 4)))),
        layers.GlobalAveragePooling2D(name="average"),
        layers.Dropout(knobs.dropout, name="dropout"),
        layers.Dense(knobs.classes, name="logits"),
    ]


def _block(i: int, channels: int) -> list[Step]:
    from keras import layers

    return [
        layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"conv{i}"),
        layers.MaxPooling2D(name=f"pool{i}"),
        norm(f"norm{i}"),
        layers.ReLU(name=f"relu{i}"),
        squeeze_excite(f"attention{i}"),
    ]
