"""A small CNN with channel attention: squeeze-and-excitation, arXiv:1709.01507."""

from components.models.blocks import Block, batch_norm, squeeze_excite
from components.models.config import ModelConfig


def attention(config: ModelConfig) -> list[Block]:
    """Three blocks of a 3x3 convolution and squeeze-and-excitation, 32, 64 and 128 wide, then global average pooling.

    Each further block has twice the channels and half the side.
    105,666 parameters and 7,463,168 multiply-accumulates on MNIST.
    """
    from keras import layers

    blocks = range(1, config.blocks(3) + 1)
    config.require_side(2 ** len(blocks))
    return [
        *(block for i in blocks for block in _block(i, config.channels(2 ** (i + 4)))),
        layers.GlobalAveragePooling2D(name="average"),
        layers.Dropout(config.dropout, name="dropout"),
        layers.Dense(config.classes, name="logits"),
    ]


def _block(i: int, channels: int) -> list[Block]:
    from keras import layers

    return [
        layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"conv{i}"),
        layers.MaxPooling2D(name=f"pool{i}"),
        batch_norm(f"norm{i}"),
        layers.ReLU(name=f"relu{i}"),
        squeeze_excite(f"attention{i}"),
    ]
