"""What the workers of a training tell each other, so that together they take the steps that one would take alone.

Keras 3.15's `fit` does not do it under tf.distribute.MultiWorkerMirroredStrategy:
  - a model that was built in its scope ends at the first batch with `Attempt to convert a value (PerReplica:...) to a
    Tensor`: Trainer._maybe_symbolic_build sums up images and labels as if they were one tensor;
  - it would take the mean of the workers' means, which is not that of the batch where their shares differ;
  - batch normalisation sees each worker's own images, and `synchronized=True` exchanges three times a layer and way;
  - each worker judges early stopping and the best weights for itself.
keras.distribution has no TensorFlow backend ("DO NOT USE" stands at its top). So the strategy is used for what it does
well: TensorFlow's collective operations over gRPC, in a ring whose order of summation is fixed. `fit`, its callbacks
and all variables are those of a training in one process; what is exchanged is

  - the sums of the gradients, the loss and the right answers over the batch, once a step. Every worker divides by the
    number of images and takes the same step;
  - the sums behind the mean and variance of each batch normalisation, so that it sees the whole batch;
  - the validation figures, once an epoch, so that early stopping and the schedule decide alike everywhere;
  - the chief's variables, before each epoch. A training that is resumed begins there, so it cannot differ from one
    that was left in peace, not even on processors that round otherwise than the chief's.

Imports Keras, so it is imported where something trains, and only there.
"""

import contextlib
import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from components.settings.sections import Train
from components.system.tensorflow import tensorflow
from components.train import losses

SEEDS_APART = 0x9E3779B1  # of 2^32, the golden ratio: worker k's dropout begins k times so far from the chief's
Array = NDArray[Any]


class Exchange:
    """The connection of worker *number* to the others; made before anything else is computed in the process."""

    def __init__(self, addresses: Sequence[str], number: int) -> None:
        """Start this worker's server and wait for those of the others."""
        tf = tensorflow()
        self.size, self.number, self._tf = len(addresses), number, tf
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(addresses)}), task_type="worker", task_id=number, rpc_layer="grpc"
        )
        ring = tf.distribute.experimental.CommunicationImplementation.RING
        options = tf.distribute.experimental.CommunicationOptions(implementation=ring)
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver, options)
        vector = tf.TensorSpec([None], tf.float64)
        self._summed = tf.function(self._sum_of_vector, input_signature=[vector], autograph=False)

    def run(self, function: Any, *arguments: Any) -> Any:
        """*function* of *arguments*, in which `sum` may be called."""
        return self._strategy.run(function, args=arguments)

    def sum(self, tensors: Any) -> Any:
        """The sum over all workers of a tensor, or of each of a list; gradients flow through it."""
        tf = self._tf
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensors)

    def _sum_of_vector(self, vector: Any) -> Any:
        return self.run(lambda mine: self.sum(self._tf.identity(mine)), vector)

    def leave(self) -> None:
        """Wait until nobody needs this worker any more.

        Who has the first sum may still be asked for it by the next in the ring; who begins the second has the first.
        """
        self.total([0.0])
        with contextlib.suppress(self._tf.errors.OpError):  # the others may go as soon as they have the second
            self.total([0.0])

    def total(self, values: Sequence[float] | Array) -> Array:
        """The sum over all workers of each of *values*, float64; waits until every worker has called it."""
        found: Array = self._summed(self._tf.constant(values, self._tf.float64)).numpy()
        return found

    def chiefs(self, arrays: Sequence[Array]) -> list[Array]:
        """The chief's *arrays*, whose numbers have to be exact in float64; the others' tell the shapes."""
        flat = np.concatenate([array.ravel().astype(np.float64) for array in arrays])
        found = self.total(flat if self.number == 0 else np.zeros_like(flat))
        parts = np.split(found, np.cumsum([array.size for array in arrays])[:-1])
        return [p.reshape(a.shape).astype(a.dtype) for p, a in zip(parts, arrays, strict=True)]

    def chiefs_text(self, text: str) -> str:
        """The chief's *text*."""
        encoded = np.frombuffer(text.encode(), np.uint8)
        (length,) = self.chiefs([np.array([len(encoded)])])
        mine = encoded if self.number == 0 else np.zeros(int(length[0]), np.uint8)
        return self.chiefs([mine])[0].tobytes().decode()


class Together(keras.Model):  # type: ignore[misc]
    """A network that learns from its worker's share of each batch and takes the step of the whole batch.

    Batches of training are (images, labels, weights, counts): what each image's loss is multiplied by, and how many
    images of the whole batch it stands for (components.data.input_pipeline).
    """

    def __init__(self, model: Any, exchange: Exchange, params: Train) -> None:
        """*model* is not compiled; it shares its layers and weights with this one, and exchanges from now on."""
        super().__init__(model.inputs, model.outputs)
        self._exchange, self._each, self._hits = exchange, losses.each(params), losses.hits(params)
        self._means = {name: keras.metrics.Mean(name) for name in ("loss", "accuracy")}
        for layer in self._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                # instead of synchronized=True, which exchanges three times for each of these once
                layer._moments = functools.partial(moments, exchange, layer)

    def compile(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Loss and accuracy are its own."""
        super().compile(optimizer, jit_compile=False)

    def train_step(self, data: Any) -> dict[str, Any]:
        *gradients, sums = self._exchange.run(self._learn, *data)
        loss, hits, images = tensorflow().unstack(sums)
        means = [gradient / images for gradient in gradients]
        self.optimizer.apply_gradients(zip(means, self.trainable_variables, strict=True))
        return self._tell(loss, hits, images)

    def _learn(self, images: Any, labels: Any, weights: Any, counts: Any) -> list[Any]:
        """The sums over all workers of each gradient, and (loss, right answers, images), (3,)."""
        tf = tensorflow()
        with tf.GradientTape() as tape:
            found = self(images, training=True)
            number = tf.reduce_sum(counts)
            loss = tf.reduce_sum(self._each(labels, found) * weights * counts) + number * self._penalty()
        unused = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(loss, self.trainable_variables, unconnected_gradients=unused)
        hits = tf.reduce_sum(self._hits(labels, found) * counts)
        summed: list[Any] = self._exchange.sum([*gradients, tf.stack([loss, hits, number])])
        return summed

    def test_step(self, data: Any) -> dict[str, Any]:
        """Of this worker's share alone; `Agreement` makes them the figures of all."""
        tf = tensorflow()
        images, labels = data
        found = self(images, training=False)
        number = tf.cast(tf.shape(images)[0], tf.float32)
        loss = tf.reduce_sum(self._each(labels, found)) + number * self._penalty()
        return self._tell(loss, tf.reduce_sum(self._hits(labels, found)), number)

    def _penalty(self) -> Any:
        return tensorflow().add_n(self.losses) if self.losses else 0.0

    def _tell(self, loss: Any, hits: Any, images: Any) -> dict[str, Any]:
        for mean, total in zip(self._means.values(), (loss, hits), strict=True):
            mean.update_state(total / images, sample_weight=images)
        return {name: mean.result() for name, mean in self._means.items()}


def moments(exchange: Exchange, layer: Any, inputs: Any, mask: Any) -> tuple[Any, Any]:
    """Mean and variance of each channel of *inputs*, over the images of all workers.

    Sums are taken about the moving mean, the same everywhere, so that no digits are lost where the mean is large.
    """
    tf = tensorflow()
    channels = layer.moving_mean.shape[0]
    about = tf.reshape(
        layer.moving_mean, [channels if i == layer.axis % len(inputs.shape) else 1 for i in range(len(inputs.shape))]
    )
    centred = inputs - tf.stop_gradient(tf.cast(about, inputs.dtype))
    first = tf.reduce_sum(centred, layer._reduction_axes)
    second = tf.reduce_sum(tf.square(centred), layer._reduction_axes)
    count = tf.cast(tf.size(inputs) // channels, inputs.dtype)
    sums = exchange.sum(tf.concat([first, second, [count]], 0))
    mean, square = sums[:channels] / sums[-1], sums[channels:-1] / sums[-1]
    return tf.stop_gradient(layer.moving_mean) + mean, tf.maximum(square - tf.square(mean), 0.0)


class Agreement:
    """Makes the figures of an epoch and the variables before it one for all workers: the first of the callbacks."""

    def __init__(self, exchange: Exchange, variables: Sequence[Any], held_out: int) -> None:
        """*variables* is all that the next step depends on; this worker has *held_out* of the validation images."""
        self._exchange, self._variables, self._held_out = exchange, variables, held_out

    def on_epoch_begin(self, _: int, __: Any) -> None:
        values = [variable.numpy() for variable in self._variables]
        for variable, value in zip(self._variables, self._exchange.chiefs(values), strict=True):
            variable.assign(self._own_seed(value) if variable.name == "seed_generator_state" else value)

    def _own_seed(self, state: Array) -> Array:
        """(seed, steps done): the chief's seed, moved by as much for each worker; the chief keeps its own."""
        seed, *steps = state.tolist()
        return np.array([(seed + SEEDS_APART * self._exchange.number) % 2**32, *steps], state.dtype)

    def on_epoch_end(self, _: int, logs: dict[str, float]) -> None:
        names = ("val_loss", "val_accuracy")
        *sums, images = self._exchange.total([*(logs[name] * self._held_out for name in names), self._held_out])
        logs.update(zip(names, (float(value / images) for value in sums), strict=True))
