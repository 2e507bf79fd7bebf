"""Synchronous data-parallel training: all-reduce of gradients and batch-norm statistics.

Keras 3.15's `fit` cannot do it under tf.distribute.MultiWorkerMirroredStrategy:
  - a model that was built in its scope fails at the first batch with `Attempt to convert a value (PerReplica:...) to a
    Tensor`: Trainer._maybe_symbolic_build sums images and labels as if they were one tensor;
  - it would average the workers' means, which is not the mean of the batch where their shares differ in size;
  - batch normalisation sees each worker's images alone, and `synchronized=True` communicates three times per layer and
    direction;
  - each worker decides on early stopping and the best weights for itself.
keras.distribution has no TensorFlow backend ("DO NOT USE" stands at its top). So the strategy is used for its
collective operations alone (components.train.distributed.collectives). `fit`, its callbacks and all variables are those
of a training with one worker; what the workers communicate is

  - the sums of the gradients, the loss and the right predictions over the batch, once a step. Every worker divides by
    the number of images and takes the same step;
  - the sums behind the mean and variance of each batch normalisation, so that it sees the whole batch;
  - the validation metrics, once an epoch, so that early stopping and the schedule decide alike everywhere;
  - the chief's variables, before each epoch. A resumed training starts from them, so it cannot differ from an
    undisturbed one, not even on processors that round differently from the chief's.

Imports Keras, so it is imported by the workers alone.
"""

import functools
from collections.abc import Sequence

import keras
import numpy as np

from components.settings.sections import Train
from components.system.tensorflow import Callback, KerasModel, Layer, Optimizer, Tensor, Variable, tensorflow
from components.train import losses
from components.train.callbacks import CallbackRestorer, Logs, as_callback, divergence_guard, stopping_callbacks
from components.train.checkpoint import Progress
from components.train.distributed.collectives import Array, Collectives
from components.train.task import Task
from components.train.train_state import TrainState

SEED_STEP = 0x9E3779B1  # golden ratio of 2^32: worker k's dropout starts k times as far from the chief's


class DistributedModel(keras.Model):  # type: ignore[misc]
    """A network that learns from its worker's share of each batch and takes the step of the whole batch.

    Training batches are (images, labels, weights, counts): the weight of each image's loss, and the number of images of
    the whole batch that the image stands for (components.data.input_pipeline).
    """

    def __init__(self, model: KerasModel, collectives: Collectives, params: Train) -> None:
        """*model* is not compiled; it shares its layers and weights with this one."""
        super().__init__(model.inputs, model.outputs)
        self._collectives = collectives
        self._image_loss, self._image_accuracy = losses.per_image_loss(params), losses.per_image_accuracy(params)
        self._means = {name: keras.metrics.Mean(name) for name in ("loss", "accuracy")}
        for layer in self._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                # synchronized=True would communicate three times where this does once
                layer._moments = functools.partial(synchronized_moments, collectives, layer)

    def compile(self, optimizer: Optimizer, *_: object, **__: object) -> None:
        """Loss and accuracy are computed here."""
        super().compile(optimizer, jit_compile=False)

    def train_step(self, data: Sequence[Tensor]) -> dict[str, Tensor]:
        *gradients, sums = self._collectives.run(self._reduced_gradients, *data)
        loss, right, images = tensorflow().unstack(sums)
        means = [gradient / images for gradient in gradients]
        self.optimizer.apply_gradients(zip(means, self.trainable_variables, strict=True))
        return self._update_metrics(loss, right, images)

    def _reduced_gradients(self, images: Tensor, labels: Tensor, weights: Tensor, counts: Tensor) -> list[Tensor]:
        """The sums over all workers of each gradient, and of (loss, right predictions, images), (3,)."""
        tf = tensorflow()
        with tf.GradientTape() as tape:
            predictions = self(images, training=True)
            number = tf.reduce_sum(counts)
            loss = tf.reduce_sum(self._image_loss(labels, predictions) * weights * counts) + number * self._penalty()
        unused = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(loss, self.trainable_variables, unconnected_gradients=unused)
        right = tf.reduce_sum(self._image_accuracy(labels, predictions) * counts)
        reduced: list[Tensor] = self._collectives.all_reduce([*gradients, tf.stack([loss, right, number])])
        return reduced

    def test_step(self, data: Sequence[Tensor]) -> dict[str, Tensor]:
        """The metrics of this worker's share; `Synchronization` makes them those of all."""
        tf = tensorflow()
        images, labels = data
        predictions = self(images, training=False)
        number = tf.cast(tf.shape(images)[0], tf.float32)
        loss = tf.reduce_sum(self._image_loss(labels, predictions)) + number * self._penalty()
        return self._update_metrics(loss, tf.reduce_sum(self._image_accuracy(labels, predictions)), number)

    def _penalty(self) -> Tensor:
        return tensorflow().add_n(self.losses) if self.losses else 0.0

    def _update_metrics(self, loss: Tensor, right: Tensor, images: Tensor) -> dict[str, Tensor]:
        for mean, total in zip(self._means.values(), (loss, right), strict=True):
            mean.update_state(total / images, sample_weight=images)
        return {name: mean.result() for name, mean in self._means.items()}


def synchronized_moments(
    collectives: Collectives, layer: Layer, inputs: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
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
    sums = collectives.all_reduce(tf.concat([first, second, [count]], 0))
    mean, square = sums[:channels] / sums[-1], sums[channels:-1] / sums[-1]
    return tf.stop_gradient(layer.moving_mean) + mean, tf.maximum(square - tf.square(mean), 0.0)


class Synchronization:
    """Gives all workers the chief's variables before each epoch and the same metrics after it: the first callback."""

    def __init__(self, collectives: Collectives, variables: Sequence[Variable], held_out: int) -> None:
        """*variables* are all that the next step depends on; this worker has *held_out* of the validation images."""
        self._collectives, self._variables, self._held_out = collectives, variables, held_out

    def on_epoch_begin(self, _: int, __: Logs) -> None:
        values = [variable.numpy() for variable in self._variables]
        for variable, value in zip(self._variables, self._collectives.broadcast(values), strict=True):
            variable.assign(self._worker_seed(value) if variable.name == "seed_generator_state" else value)

    def _worker_seed(self, state: Array) -> Array:
        """(seed, steps done): the chief's seed, moved for each other worker."""
        seed, *steps = state.tolist()
        return np.array([(seed + SEED_STEP * self._collectives.number) % 2**32, *steps], state.dtype)

    def on_epoch_end(self, _: int, logs: Logs) -> None:
        names = ("val_loss", "val_accuracy")
        *sums, images = self._collectives.sum([*(logs[name] * self._held_out for name in names), self._held_out])
        logs.update(zip(names, (float(value / images) for value in sums), strict=True))


def assistant_callbacks(task: Task, state: TrainState, progress: Progress) -> list[Callback]:
    """The callbacks of a worker that is not the chief: it decides as the chief does, and writes nothing."""
    stateful = stopping_callbacks(task.params)
    after = [*([state.average] if state.average else []), CallbackRestorer(stateful, progress)]
    return [as_callback(divergence_guard(task, state)), *stateful, *map(as_callback, after)]
