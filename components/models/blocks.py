"""What networks are made of besides Keras' own layers: steps, each a layer or a function from a tensor to a tensor.

Steps are chained into one flat graph, so a saved network is a list of Keras' layers and nothing else. Each step that
makes layers takes a name for them: names that Keras counts itself depend on what the process built before.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

Step = Callable[[Any], Any]
MOMENTUM = 0.9  # of batch normalisation's averages: Keras' 0.99 needs more steps than a small data set has


def chain(tensor: Any, steps: Iterable[Step]) -> Any:
    """*tensor* after each of *steps* in turn."""
    return reduce(lambda x, step: step(x), steps, tensor)


def norm(name: str) -> Any:
    """Batch normalisation, arXiv:1502.03167."""
    from keras import layers

    return layers.BatchNormalization(momentum=MOMENTUM, name=name)


def conv(channels: int, name: str, *, size: int = 3, strides: int = 1) -> list[Step]:
    """A padded convolution without bias, normalised, then ReLU."""
    from keras import layers

    return [
        layers.Conv2D(channels, size, strides, padding="same", use_bias=False, name=f"{name}_conv"),
        norm(f"{name}_norm"),
        layers.ReLU(name=f"{name}_relu"),
    ]


def closed(channels: int, name: str, padding: str, *, size: int = 3, pool: bool = False) -> list[Step]:
    """A convolution without bias, padded or not ("same", "valid"), pooled where asked, normalised, then ReLU.

    Normalising after pooling costs a quarter of normalising before it.
    """
    from keras import layers

    return [
        layers.Conv2D(channels, size, padding=padding, use_bias=False, name=f"{name}_conv"),
        *([layers.MaxPooling2D(name=f"{name}_pool")] if pool else []),
        norm(f"{name}_norm"),
        layers.ReLU(name=f"{name}_relu"),
    ]


def residual(channels: int, name: str, *, strides: int = 1) -> Step:
    """Two 3x3 convolutions beside a shortcut (arXiv:1512.03385), itself a 1x1 convolution where the shapes differ."""
    from keras import layers

    def step(x: Any) -> Any:
        branch = chain(x, conv(channels, f"{name}_1", strides=strides) + conv(channels, f"{name}_2")[:2])
        fits = strides == 1 and x.shape[-1] == channels
        shortcut = x if fits else chain(x, conv(channels, f"{name}_0", size=1, strides=strides)[:2])
        return chain([shortcut, branch], [layers.Add(name=f"{name}_add"), layers.ReLU(name=f"{name}_relu")])

    return step


def squeeze_excite(name: str, ratio: int = 4) -> Step:
    """Weigh each channel by what all of them are on average over the image, arXiv:1709.01507."""
    from keras import layers

    def step(x: Any) -> Any:
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

    return step
