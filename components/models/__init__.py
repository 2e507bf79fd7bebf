"""The networks: each module here holds one function of its own name that returns a list of layers.

A network is found by its name when it is built, so a change of one leaves the artifacts of the other as they are.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from components.backend import tensorflow

FLAT = 1e-6  # a deviation below this is a channel of one colour: nothing to scale by


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


def build(
    name: str,
    shape: Sequence[int],
    classes: int,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    dropout: float = 0.0,
    precision: str = "float32",
) -> Any:
    """The untrained network *name*: uint8 pixels 0..255 (N, *shape) in, float32 probabilities (N, classes) out.

    *shape* is (H, W, C); *mean* and *std* hold one number per channel in units of 255. Scaling is the first layer, so
    whatever is exported from the model takes raw pixels. The names of layers are fixed, not counted per process.
    """
    tensorflow()
    import keras

    scale = [1 / (255 * s) if s > FLAT else 1 / 255 for s in std]
    offset = [-255 * m * k for m, k in zip(mean, scale, strict=True)]
    network = getattr(import_module(f"components.models.{name}"), name)
    with _policy(precision):
        return keras.Sequential(
            [
                keras.Input(tuple(shape), dtype="uint8", name="pixels"),
                keras.layers.Rescaling(scale, offset, dtype="float32", name="scaling"),
                *network(classes, dropout),
                keras.layers.Activation("softmax", dtype="float32", name="probabilities"),
            ],
            name=name,
        )
