"""Training callbacks: divergence guard, progress, best weights, early stopping, checkpoint.

Their order matters: those that judge an epoch run before those that record it, and the checkpoint is last.
"""

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack

from components.errors import ModelRejected
from components.progress import progress as progress_bar
from components.progress import say
from components.settings.sections import NO_WEIGHTS, Train
from components.system.tensorflow import Callback, Variable
from components.train import checkpoint
from components.train.best_epoch import first_candidate
from components.train.best_weights import MONITOR, BestWeights
from components.train.checkpoint import Progress
from components.train.task import Task, Watch
from components.train.tensorboard import EventWriter
from components.train.train_state import TrainState

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")
HOOKS = ("on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_test_begin", "on_epoch_end")

Logs = dict[str, float]
Stateful = Callback | BestWeights


class DivergenceGuard:
    """Raises ModelRejected at the first NaN or infinite loss, or at the end of an epoch, weight.

    The weights are checked because oneDNN's ReLU and pooling swallow NaN: a dead network then has a loss of ln K.
    """

    def __init__(self, learning_rate: float, weights: Sequence[Variable]) -> None:
        self._rate, self._weights, self._epoch = learning_rate, weights, 0

    def on_epoch_begin(self, epoch: int, _: Logs) -> None:
        self._epoch = epoch + 1

    def on_train_batch_end(self, _: int, logs: Logs) -> None:
        self._check("loss", logs["loss"])

    def on_epoch_end(self, _: int, logs: Logs) -> None:
        self._check("val_loss", logs["val_loss"])
        for weight in self._weights:
            self._check(f"the sum of {weight.path}", float(weight.numpy().sum()))

    def _check(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise ModelRejected(
                f"training diverged in epoch {self._epoch}: {name} is {value}; lower train.learning_rate "
                f"({self._rate:g} now): python -m pipeline run --set train.learning_rate={self._rate / 10:g}"
            )


class EpochReport:
    """A progress bar over the steps of each epoch, then a line with its metrics; `seconds` has each epoch's time."""

    def __init__(self, steps: int, bars: ExitStack) -> None:
        self._steps, self._bars = steps, bars
        self.epochs = 0  # how many there will be, as far as is known
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, _: Logs) -> None:
        self._start = time.monotonic()
        self._advance = self._bars.enter_context(progress_bar(f"epoch {epoch + 1}/{self.epochs}", self._steps))

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        self._advance(batch + 1, f"loss {logs['loss']:.4f}  accuracy {logs['accuracy']:.4f}")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        self._bars.close()
        self.seconds.append(round(time.monotonic() - self._start, 3))
        metrics = "  ".join(f"{name} {logs[name]:.4f}" for name in METRICS)
        say(f"  epoch {epoch + 1}/{self.epochs}  {metrics}  ({self.seconds[-1]:.0f} s)")


class CandidateEpochs:
    """Lets *best* forget the epochs before the number *first*, so that it keeps one of the candidates."""

    def __init__(self, best: BestWeights, first: int) -> None:
        self._best, self._first = best, first

    def on_epoch_begin(self, epoch: int, _: Logs) -> None:
        if epoch + 1 == self._first:
            self._best.best = math.inf


class CallbackRestorer:
    """Restores the state of callbacks, which Keras' own reset when training begins."""

    def __init__(self, callbacks: Sequence[Stateful], progress: Progress) -> None:
        self._callbacks, self._progress = callbacks, progress

    def on_train_begin(self, _: Logs) -> None:
        checkpoint.restore_callbacks(self._callbacks, self._progress)


class CheckpointWriter:
    """Records the history, writes TensorBoard's event files, and saves the checkpoint: the last of the callbacks."""

    def __init__(
        self, task: Task, state: TrainState, stateful: Sequence[Stateful], progress: Progress, events: EventWriter
    ) -> None:
        """*stateful* are the callbacks that carry something between epochs."""
        self._work, self._state, self._model = task.work, state, state.model
        self._stateful, self._progress, self._events = stateful, progress, events

    def on_epoch_begin(self, _: int, __: Logs) -> None:
        self._rate = float(self._model.optimizer.learning_rate)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        row = {name: float(logs[name]) for name in METRICS} | {"learning_rate": self._rate}
        self._progress["history"].append({"epoch": epoch + 1, **row})
        self._progress["stopped"] = bool(self._model.stop_training)
        self._events.write(epoch, row, {weight.path: weight.numpy() for weight in self._model.weights})
        checkpoint.save(self._work, self._state.variables, self._state.best.weights, self._stateful, self._progress)


def training_callbacks(
    task: Task, state: TrainState, progress: Progress, report: EpochReport, events: EventWriter
) -> list[Callback]:
    """All callbacks of a training, in order; they keep *progress* up to date, in memory and in the checkpoint."""
    stopping = stopping_callbacks(task.params)
    stateful = [state.best, *stopping]
    average = [state.average] if state.average else []
    writer = CheckpointWriter(task, state, stateful, progress, events)
    candidates = CandidateEpochs(state.best, first_candidate(task.params))
    after = [*average, CallbackRestorer(stateful, progress), candidates, writer]
    return [
        *map(as_callback, (divergence_guard(task, state), report, state.best)),
        *stopping,
        *map(as_callback, after),
    ]


def divergence_guard(task: Task, state: TrainState) -> DivergenceGuard:
    return DivergenceGuard(task.params.learning_rate, state.model.trainable_weights)


def stopping_callbacks(params: Train) -> list[Callback]:
    """Early stopping, and the schedule that depends on the validation loss."""
    import keras

    first = params.frozen_epochs if params.weights != NO_WEIGHTS else 0
    callbacks = [keras.callbacks.EarlyStopping(MONITOR, patience=params.patience, start_from_epoch=first)]
    if params.schedule == "plateau":
        patience = max(1, params.patience - 2)  # training continues at the lower rate before it may stop
        callbacks.append(keras.callbacks.ReduceLROnPlateau(MONITOR, factor=0.2, patience=patience))
    return callbacks


def watch_callbacks(watch: Watch | None, progress: Progress) -> list[Callback]:
    """Calls *watch* with the history once the epoch is in the checkpoint; an exception ends the training."""
    import keras

    return [keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: watch(progress["history"]))] if watch else []


def as_callback(listener: object) -> Callback:
    """An object with some of HOOKS as a Keras callback, so that this module can be imported without Keras."""
    import keras

    hooks = {hook: getattr(listener, hook) for hook in HOOKS if hasattr(listener, hook)}
    return keras.callbacks.LambdaCallback(**hooks)
