"""An exponential moving average of a network's weights, which is evaluated and kept in their place.

Keras' optimizers have one (`use_ema`), but it averages the trained weights alone, so that batch normalisation keeps the
statistics of other weights, and it starts at the weights of the first step, which a momentum of 0.999 remembers for
thousands of steps. Here the statistics are averaged too (as in timm's ModelEmaV3), and the momentum starts low (as in
TensorFlow's ExponentialMovingAverage with num_updates).
B. Polyak, A. Juditsky, Acceleration of stochastic approximation by averaging, SIAM J. Control Optim. 30 (1992) 838-855.
"""

from collections.abc import Sequence
from typing import Any

from components.system.tensorflow import KerasModel, Variable, tensorflow


class WeightAverage:
    """Follows *model* step by step; the average is in the model from validation to the end of the epoch.

    As a callback it comes after those that keep the best weights, so that they keep the average, and before the
    checkpoint, which holds both the weights that training continues with and `variables`.
    """

    def __init__(self, model: KerasModel, momentum: float) -> None:
        """*model* is compiled and its optimizer built; *momentum* is the weight of the old average in the new one."""
        tf = tensorflow()
        self._weights = [weight.value for weight in model.weights if weight.dtype.startswith("float")]
        self.variables: list[Variable] = [tf.Variable(weight, trainable=False) for weight in self._weights]
        self._kept: list[Any] = []  # the weights that training continues with

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def advance() -> None:
            step = tf.cast(model.optimizer.iterations, tf.float32)
            share = 1 - tf.minimum(momentum, (1 + step) / (10 + step))
            for average, weight in zip(self.variables, self._weights, strict=True):
                average.assign_sub((average - weight) * tf.cast(share, average.dtype))

        self._advance = advance

    def on_train_batch_end(self, _: int, logs: object) -> None:  # Keras passes logs by its name
        self._advance()

    def on_test_begin(self, _: object) -> None:
        self._kept = [weight.numpy() for weight in self._weights]
        self._assign(self.variables)

    def on_epoch_end(self, _: int, __: object) -> None:
        self._assign(self._kept)

    def _assign(self, values: Sequence[Any]) -> None:
        for weight, value in zip(self._weights, values, strict=True):
            weight.assign(value)
