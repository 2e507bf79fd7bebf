"""The weights of the best epoch so far."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from components.system.tensorflow import Variable

MONITOR = "val_loss"

Arrays = list[NDArray[Any]]


class BestWeights:
    """Copies the weights after each epoch whose validation loss is lower than that of all before.

    Keras' ModelCheckpoint writes them to a file of their own through HDF5, which on a full disk prints tracebacks and
    can end the process with a segmentation fault. Here they are part of the checkpoint: one file, which is whole or
    absent.
    """

    def __init__(self, variables: Sequence[Variable]) -> None:
        """*variables* are those of the model that are weights, in its order."""
        self.variables = variables
        self.best = math.inf  # the lowest validation loss
        self.weights: Arrays = []  # after that epoch; [] before the first

    def on_epoch_end(self, _: int, logs: Mapping[str, float]) -> None:
        if logs[MONITOR] < self.best:
            self.best = logs[MONITOR]
            self.weights = [variable.numpy() for variable in self.variables]
