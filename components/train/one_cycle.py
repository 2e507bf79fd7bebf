"""The one-cycle policy: the learning rate rises, then falls to next to nothing; momentum falls, then rises.

L. N. Smith, N. Topin, Super-convergence, 2017: arXiv:1708.07120; with half-cosines between the corners, as fastai and
PyTorch's OneCycleLR have it. Imports Keras, so it is imported where something trains, and only there.
"""

from typing import Any

import keras
from keras import ops

RISE = 0.3  # share of the training in which the rate rises
FIRST = 1 / 25  # the rate at the beginning, as a share of the highest
LAST = 1e-4 / 25  # the rate at the end
DIP = 0.1  # how far momentum falls: 0.95 to 0.85 in the paper


def cycle(step: Any, total: int, first: float, middle: float, last: float) -> Any:
    """*first* at step 0, *middle* after `RISE` of *total* steps, *last* at the end; half a cosine between them."""
    done = ops.cast(step, "float32") / total
    rising = ops.minimum(done / RISE, 1.0)
    falling = ops.clip((done - RISE) / (1 - RISE), 0.0, 1.0)
    return first + (middle - first) * _ease(rising) + (last - middle) * _ease(falling)


def _ease(share: Any) -> Any:
    """0 to 1 along half a cosine, flat at both ends."""
    return (1 - ops.cos(share * 3.141592653589793)) / 2


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate of one cycle over *total* steps with the maximum *highest*."""

    def __init__(self, highest: float, total: int) -> None:
        self._highest, self._total = highest, total

    def __call__(self, step: Any) -> Any:
        return self._highest * cycle(step, self._total, FIRST, 1.0, LAST)

    def get_config(self) -> dict[str, Any]:
        return {"highest": self._highest, "total": self._total}


class CyclingSGD(keras.optimizers.SGD):  # type: ignore[misc]
    """SGD whose Nesterov momentum goes from *highest* down by `DIP` and back, against the learning rate."""

    def __init__(self, rate: Any, highest: float, total: int, **options: Any) -> None:
        super().__init__(rate, momentum=highest, nesterov=True, **options)
        self._total = total

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        lowest = max(0.0, self.momentum - DIP)
        momentum = cycle(self.iterations, self._total, self.momentum, lowest, self.momentum)
        step = learning_rate * gradient
        velocity = self.momentums[self._get_variable_index(variable)]
        velocity.assign(momentum * velocity - step)
        variable.assign_add(momentum * velocity - step)
