"""TensorBoard's event files, written with TensorFlow's own ops: only viewing them needs TensorBoard.

LOGS/
  train/       events.out.tfevents.*   epoch_loss, epoch_accuracy, epoch_learning_rate; a histogram per weight
  validation/  events.out.tfevents.*   epoch_loss, epoch_accuracy

Layout of the records: https://github.com/tensorflow/tensorboard/tree/master/tensorboard/plugins (scalar, histogram).
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import HistoryRow
from components.system.tensorflow import tensorflow

BUCKETS = 30

Weights = NDArray[np.floating]


class EventWriter:
    """Writes the metrics and weights of one epoch at a time; a context manager, as the files must be closed."""

    def __init__(self, logs: Path) -> None:
        """Raises OSError, as `write` and the end of the context do, where the files cannot be written."""
        self._tf, self._logs = tensorflow(), logs
        with file_errors(logs):
            self._writers = {
                part: self._tf.summary.create_file_writer(str(logs / part)) for part in ("train", "validation")
            }

    def write(self, epoch: int, metrics: HistoryRow, weights: dict[str, Weights]) -> None:
        """*metrics* by name, those that begin with val_ for validation; *weights* by path; *epoch* counts from 0."""
        with file_errors(self._logs):
            for name, value in metrics.items():
                part = "validation" if name.startswith("val_") else "train"
                self._record(part, f"epoch_{name.removeprefix('val_')}", np.float32(value), "scalars", epoch)
            for name, array in weights.items():
                self._record("train", f"{name}/histogram", _histogram(array), "histograms", epoch)
            for writer in self._writers.values():
                writer.flush()

    def _record(self, part: str, tag: str, value: np.float32 | Weights, plugin: str, epoch: int) -> None:
        metadata = self._tf.compat.v1.SummaryMetadata(data_class=1 if plugin == "scalars" else 2)
        metadata.plugin_data.plugin_name = plugin
        with self._writers[part].as_default():
            self._tf.summary.write(tag, value, step=epoch, metadata=metadata)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with file_errors(self._logs):
            for writer in self._writers.values():
                writer.close()


@contextmanager
def file_errors(logs: Path) -> Iterator[None]:
    """Turn what TensorFlow raises over a file below *logs* into OSError; the system's reason is in its text alone."""
    try:
        yield
    except tensorflow().errors.OpError as error:
        text = error.message.splitlines()[0].rpartition("}} ")[2]
        reasons = (number for number in errno.errorcode if os.strerror(number).lower() in text.lower())
        number = next(reasons, None)
        raise OSError(number or errno.EIO, os.strerror(number) if number else text, str(logs)) from None


def _histogram(array: Weights) -> NDArray[np.float64]:
    """Rows of (left edge, right edge, count)."""
    counts, edges = np.histogram(array, BUCKETS)
    return np.stack([edges[:-1], edges[1:], counts], axis=1).astype(np.float64)
