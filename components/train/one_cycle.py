"""The one-cycle policy: the learning rate rises for three tenths of the training, then falls to almost nothing.

L. N. Smith, N. Topin, Super-convergence, 2017: arXiv:1708.07120; with half-cosines between the corners, as in fastai
and PyTorch's OneCycleLR. Imports Keras, so it is imported where a training is built, and only there.
"""

import keras
from keras import ops

from components.system.tensorflow import Tensor

RISE = 0.3  # share of the training in which the rate rises
FIRST = 1 / 25  # the rate at the beginning, as a share of the highest
LAST = 1e-4 / 25  # the rate at the end


def cycle(step: Tensor, total: int) -> Tensor:
    """FIRST at step 0, 1 after `RISE` of *total* steps, LAST at the end; half a cosine between them."""
    done = ops.cast(step, "float32") / total
    rising = ops.minimum(done / RISE, 1.0)
    falling = ops.clip((done - RISE) / (1 - RISE), 0.0, 1.0)
    return FIRST + (1.0 - FIRST) * _ease(rising) + (LAST - 1.0) * _ease(falling)


def _ease(share: Tensor) -> Tensor:
    """0 to 1 along half a cosine, flat at both ends."""
    return (1 - ops.cos(share * 3.141592653589793)) / 2


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate of one cycle over *total* steps with the maximum *highest*."""

    def __init__(self, highest: float, total: int) -> None:
        self._highest, self._total = highest, total

    def __call__(self, step: Tensor) -> Tensor:
        return self._highest * cycle(step, self._total)

    def get_config(self) -> dict[str, float]:
        return {"highest": self._highest, "total": self._total}


class Repeated(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """*schedule*, which begins again after each *total* steps."""

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, total: int) -> None:
        self._schedule, self._total = schedule, total

    def __call__(self, step: Tensor) -> Tensor:
        return self._schedule(ops.cast(step, "int32") % self._total)

    def get_config(self) -> dict[str, object]:
        return {"schedule": keras.saving.serialize_keras_object(self._schedule), "total": self._total}
