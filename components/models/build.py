"""The networks: each module here holds one function of its own name, which takes Knobs and returns a list of steps.

A network is found by its name when it is built, so a change of one leaves the artifacts of the others as they are. What
it cannot use of the settings it names in UNUSED; in PRECISION, what it is fastest in where that is not bfloat16. A
person's own network is "package.module:function", see components.models.custom.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from components.models.blocks import Step, chain
from components.models.catalog import is_own
from components.models.config import Knobs
from components.system.tensorflow import tensorflow

FLAT = 1e-6  # a deviation below this is a channel of one colour: nothing to scale by


def build(name: str, knobs: Knobs, *, mean: Sequence[float], std: Sequence[float], precision: str = "float32") -> Any:
    """The untrained network *name*: uint8 pixels 0..255 (N, H, W, C) in, float32 probabilities (N, classes) out.

    *mean* and *std* hold one number per channel in units of 255. Scaling is the first layer, so whatever is exported
    from the model takes raw pixels. It is one flat functional model whose layers have fixed names.
    Raises ConfigError where the images are too small for the network, or a person's own network cannot be used.
    """
    tensorflow()
    import keras

    scale = [1 / (255 * s) if s > FLAT else 1 / 255 for s in std]
    offset = [-255 * m * k for m, k in zip(mean, scale, strict=True)]
    with _policy(precision):
        pixels = keras.Input(tuple(knobs.shape), dtype="uint8", name="pixels")
        steps = [
            keras.layers.Rescaling(scale, offset, dtype="float32", name="scaling"),
            *_steps(name, knobs),
            keras.layers.Activation("softmax", dtype="float32", name="probabilities"),
        ]
        model = keras.Model(pixels, chain(pixels, steps), name=name.rpartition(":")[2])
    _count_anew(model)
    _penalize(model, knobs.l2)
    return model


def _steps(name: str, knobs: Knobs) -> list[Step]:
    if is_own(name):
        steps: list[Step] = import_module("components.models.custom").own(name, knobs)
    else:
        steps = getattr(import_module(f"components.models.architectures.{name}"), name)(knobs)
    return steps


@contextmanager
def _policy(precision: str) -> Iterator[None]:
    """Build layers in *precision*, and leave the process's own policy as it was."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _count_anew(model: Any) -> None:
    """Number what was given no name of its own as the first model of a process would be numbered."""
    counts: dict[str, int] = {}
    for operation in model.operations:
        usual = re.sub(r"_\d+$", "", operation.name)
        if usual.replace("_", "") == type(operation).__name__.lower():
            counts[usual] = counts.get(usual, 0) + 1
            operation.name = usual if counts[usual] == 1 else f"{usual}_{counts[usual] - 1}"


def _penalize(model: Any, l2: float) -> None:
    """Add l2 times the squares of each kernel, of no bias and no normalisation, to the loss that *model* trains by.

    On the variables, not in the layers' settings: it is a matter of training and stays out of the saved model.
    """
    import keras

    if l2:
        for weight in model.trainable_weights:
            if weight.name.endswith("kernel"):
                weight.regularizer = keras.regularizers.L2(l2)
