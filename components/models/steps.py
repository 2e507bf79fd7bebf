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
