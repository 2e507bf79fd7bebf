"""A moving average of a network's weights: steadier than the weights themselves, and what is measured and kept.

Keras' own (`use_ema` of its optimizers) averages the trained weights alone, so that batch normalisation keeps the
statistics of other weights, and begins at the first step's weights, which a momentum of 0.999 remembers for thousands
of steps. Here the statistics are averaged along (as in timm's ModelEmaV3), and the momentum begins low (as in
TensorFlow's ExponentialMovingAverage with num_updates).
B. Polyak, A. Juditsky, Acceleration of stochastic approximation by averaging, SIAM J. Control Optim. 30 (1992) 838-855.
"""

from typing import Any

from components.system.tensorflow import tensorflow


class Average:
    """Follows *model* step by step; its average is in the model from validation on until the epoch ends.

    A listener of a training (components.train.callbacks): it comes after those that keep the best weights, so that
    they keep the average, and before the backup, which keeps the weights that training goes on with and `variables`.
    """

    def __init__(self, model: Any, momentum: float) -> None:
        """*model* is compiled and its optimizer built; *momentum* is the share of the old average in the new one."""
        tf = tensorflow()
        self._weights = [weight.value for weight in model.weights if weight.dtype.startswith("float")]
        self.variables = [tf.Variable(weight, trainable=False) for weight in self._weights]
        self._aside: list[Any] = []

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def advance() -> None:
            step = tf.cast(model.optimizer.iterations, tf.float32)
            share = 1 - tf.minimum(momentum, (1 + step) / (10 + step))
            for average, weight in zip(self.variables, self._weights, strict=True):
                average.assign_sub((average - weight) * tf.cast(share, average.dtype))

        self._advance = advance

    def on_train_batch_end(self, _: int, logs: Any) -> None:
        self._advance()

    def on_test_begin(self, logs: Any) -> None:
        self._aside = [weight.numpy() for weight in self._weights]
        self._put(self.variables)

    def on_epoch_end(self, _: int, logs: Any) -> None:
        self._put(self._aside)

    def _put(self, values: list[Any]) -> None:
        for weight, value in zip(self._weights, values, strict=True):
            weight.assign(value)
