"""Deterministic tf.data batches for training and evaluation: a pure function of (seed, epoch, step).

No state is kept between epochs, so a resumed training gets exactly the batches that an uninterrupted one would get.
Indices are batched first and images fetched per batch: one call for a batch, not for an image.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from components.data.augmentation.transforms import Place, augmenter
from components.data.labels import class_weights, uses_one_hot
from components.data.splits import Split
from components.settings.sections import Train
from components.system import memory
from components.system.processor import cores
from components.system.tensorflow import Dataset, Tensor, as_written, tensorflow

IN_MEMORY_BYTES = 2**30
IN_MEMORY_SHARE = 0.25  # of the available memory: while images are read, they are held twice
MEASURING_BATCH = 500
MOST_AT_ONCE = 8  # batches that are made in parallel: each is in memory meanwhile

Teacher = Callable[[Tensor], Tensor]  # images to probabilities


@dataclass(frozen=True)
class Share:
    """The part of every batch that worker *number* of *size* computes: a contiguous part, at most one image longer than
    the others'. A batch with fewer images than workers is computed whole by each."""

    number: int
    size: int

    def of(self, count: Tensor) -> tuple[Tensor, Tensor]:
        """The index of the first of *count* images, and of the one after the last."""
        tf = tensorflow()
        few = count < self.size
        first, end = (count * n // self.size for n in (self.number, self.number + 1))
        return tf.where(few, tf.zeros_like(count), first), tf.where(few, count, end)


class InputPipeline:
    """One split as batches (uint8 images (B, H, W, C), labels); class weights are a third element in training.

    Labels are int64 (B,), or float32 one-hot (B, classes) where the loss needs them, or in training with a *teacher*
    (B, 2, classes), one-hot labels and the teacher's probabilities; weights are float32 (B,). With a *share* it is that
    part of each batch, and training batches end with counts, float32 (B,): how many images of the batch each one stands
    for, 1 unless every worker has the whole batch.
    """

    def __init__(
        self, split: Split, classes: int, params: Train, teacher: Teacher | None = None, share: Share | None = None
    ) -> None:
        self._tf = tensorflow()
        self._split, self._classes, self._params, self._teacher = split, classes, params, teacher
        self._parallel = min(params.threads or cores(), MOST_AT_ONCE)
        self._labels, self._share = self._tf.constant(split.labels), share
        room = min(IN_MEMORY_BYTES, IN_MEMORY_SHARE * memory.available() / (share.size if share else 1))
        fits = len(split) * math.prod(split.shape) <= room
        self._images = self._tf.constant(split.images()) if fits else None

    @property
    def steps(self) -> int:
        """The number of batches in a training epoch; the last one can be smaller."""
        return math.ceil(len(self._split) / self._params.batch_size)

    def training(self, first_epoch: int, last_epoch: int | None = None) -> Dataset:
        """The batches of the epochs after *first_epoch*, to *last_epoch* or `params.epochs`.

        Each image comes once an epoch, shuffled again.
        """
        tf, params = self._tf, self._params
        augment = augmenter(self._split.shape, params.augment)
        weights = self._class_weights()

        def epoch(number: Tensor) -> Dataset:
            order = shuffled(len(self._split), params.seed, number)
            batches = tf.data.Dataset.from_tensor_slices(order).batch(params.batch_size).enumerate()
            return batches.map(lambda step, indices: (_seed(params.seed, number, step + 1), indices))

        def load(seed: Tensor, indices: Tensor) -> tuple[Tensor, ...]:
            indices, place, counts = self._own(indices)
            images, labels = self._fetch(indices)
            images = augment(images, seed, place) if augment else images
            if self._teacher:
                labels = tf.stack([labels, self._teacher(images)], axis=1)
            if weights is None:
                return (images, labels) if counts is None else (images, labels, tf.ones_like(counts), counts)
            loaded = images, labels, tf.gather(weights, self._classes_at(indices))
            return loaded if counts is None else (*loaded, counts)

        epochs = tf.data.Dataset.range(first_epoch, last_epoch or params.epochs)
        return self._in_parallel(epochs.flat_map(as_written(epoch)), as_written(load), ahead=4)

    def measuring(self, most: int | None = None) -> Dataset:
        """Every image once, in order, unchanged; of more than *most* images, that many, evenly spaced."""
        count = len(self._split)
        chosen = min(count, most or count)
        first, end = self._share.of(self._tf.constant(chosen, self._tf.int64)) if self._share else (0, chosen)
        spread = as_written(lambda i: self._fetch(i * count // chosen))
        indices = self._tf.data.Dataset.range(first, end).batch(MEASURING_BATCH)
        return self._in_parallel(indices, spread, ahead=2)

    def _in_parallel(self, dataset: Dataset, load: Callable[..., Any], ahead: int) -> Dataset:
        """The batches that *load* makes of the elements of *dataset*, in their order, *ahead* of who takes them.

        Without autotuning, which has nothing to tune here: its thread sleeps for a time that keeps doubling, and
        sometimes misses the signal to end: one training in five then took up to 20 s to end (80 iterators deleted with
        it: 15 waited; 80 without: none).
        """
        options = self._tf.data.Options()
        options.autotune.enabled = False
        loaded = dataset.map(load, num_parallel_calls=self._parallel, deterministic=True)
        return loaded.prefetch(ahead).with_options(options)

    @property
    def measured(self) -> int:
        """The number of images in `measuring()`: all of this worker's."""
        if not self._share:
            return len(self._split)
        first, end = self._share.of(self._tf.constant(len(self._split)))
        return int(end - first)

    def _own(self, indices: Tensor) -> tuple[Tensor, Place | None, Tensor | None]:
        """This worker's part of the batch *indices*, its place there, and how many images each one stands for."""
        if not self._share:
            return indices, None, None
        tf, total = self._tf, self._tf.shape(indices)[0]
        first, end = self._share.of(total)
        stands_for = tf.where(total < self._share.size, 1 / self._share.size, 1.0)
        return indices[first:end], (first, total), tf.fill([end - first], stands_for)

    def _class_weights(self) -> Tensor | None:
        if self._params.class_weights == "none":
            return None
        return self._tf.constant(class_weights(self._split.labels, self._classes))

    def _classes_at(self, indices: Tensor) -> Tensor:
        return self._tf.gather(self._labels, indices)

    def _fetch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels at *indices*: from memory where the images fit, else from the memory maps."""
        tf = self._tf
        labels = self._classes_at(indices)
        if uses_one_hot(self._params):
            labels = tf.one_hot(labels, self._classes)
        if self._images is not None:
            return tf.gather(self._images, indices), labels
        images = tf.numpy_function(self._split.take, [indices], tf.uint8, stateful=False)
        return tf.ensure_shape(images, (None, *self._split.shape)), labels


def shuffled(count: int, seed: int, epoch: Tensor) -> Tensor:
    """The indices below *count*, int64 (count,), in the order of that epoch."""
    tf = tensorflow()
    return tf.random.experimental.stateless_shuffle(tf.range(count, dtype=tf.int64), _seed(seed, epoch, 0))


def _seed(seed: int, epoch: Tensor, step: Tensor) -> Tensor:
    """Two int64, unique to (epoch, step); step 0 is for the epoch's order."""
    tf = tensorflow()
    return tf.stack([tf.cast(seed, tf.int64), tf.cast(epoch, tf.int64) * 2**32 + tf.cast(step, tf.int64)])
