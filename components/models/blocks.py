"""Building blocks of networks: each is a Keras layer, or a function from a tensor to a tensor.

Blocks are chained into one flat graph, so a saved network is a list of Keras' layers and nothing else. A block that
creates layers takes a name for them: the names that Keras counts itself depend on what the process built before.
"""

from collections.abc import Callable, Iterable
from functools import reduce

from components.system.tensorflow import Layer, Tensor

Block = Callable[[Tensor], Tensor]
MOMENTUM = 0.9  # of batch normalisation's averages: Keras' 0.99 needs more steps than a small data set has


def chain(tensor: Tensor, blocks: Iterable[Block]) -> Tensor:
    """*tensor* after each of *blocks* in turn."""
    return reduce(lambda x, block: block(x), blocks, tensor)


def batch_norm(name: str) -> Layer:
    """Batch normalisation, arXiv:1502.03167."""
    from keras import layers

    return layers.BatchNormalization(momentum=MOMENTUM, name=name)


def conv_block(
    channels: int, name: str, padding: str = "same", *, size: int = 3, strides: int = 1, pool: bool = False
) -> list[Block]:
    """A convolution without bias, max pooling where *pool* says so, batch normalisation, ReLU.

    Normalising after pooling costs a quarter of normalising before it.
    """
    from keras import layers

    return [
        layers.Conv2D(channels, size, strides, padding=padding, use_bias=False, name=f"{name}_conv"),
        *([layers.MaxPooling2D(name=f"{name}_pool")] if pool else []),
        batch_norm(f"{name}_norm"),
        layers.ReLU(name=f"{name}_relu"),
    ]


def residual(channels: int, name: str, *, strides: int = 1) -> Block:
    """Two 3x3 convolutions and a shortcut (arXiv:1512.03385), which is a 1x1 convolution where the shapes differ."""
    from keras import layers

    def block(x: Tensor) -> Tensor:
        branch = chain(x, conv_block(channels, f"{name}_1", strides=strides) + conv_block(channels, f"{name}_2")[:2])
        fits = strides == 1 and x.shape[-1] == channels
        shortcut = x if fits else chain(x, conv_block(channels, f"{name}_0", size=1, strides=strides)[:2])
        return chain([shortcut, branch], [layers.Add(name=f"{name}_add"), layers.ReLU(name=f"{name}_relu")])

    return block


def squeeze_excite(name: str, ratio: int = 4) -> Block:
    """Weigh each channel by the averages of all channels over the image, arXiv:1709.01507."""
    from keras import layers

    def block(x: Tensor) -> Tensor:
        channels = x.shape[-1]
        weights = chain(
            x,
            [
                layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze"),
                layers.Conv2D(max(1, channels // ratio), 1, activation="relu", name=f"{name}_reduce"),
                layers.Conv2D(channels, 1, activation="sigmoid", name=f"{name}_excite"),
            ],
        )
        return layers.Multiply(name=f"{name}_weigh")([x, weights])

    return block
