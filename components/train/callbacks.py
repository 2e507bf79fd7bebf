"""What happens around each epoch: divergence is caught, the best weights are kept, the whole state is saved.

Order matters: what judges an epoch comes before what records it, and the backup is last, so that it never holds an
epoch whose best weights are not on disk yet.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from components.errors import ModelRejected
from components.progress import progress, say
from components.settings.sections import Train
from components.train import checkpoint
from components.train.tensorboard import Events
from components.train.train_state import Learner

MONITOR = "val_loss"
FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")
HOOKS = ("on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_test_begin", "on_epoch_end")

Logs = dict[str, float]
Watch = Callable[[list[dict[str, float]]], None]  # is given the history so far, a row an epoch


class Divergence:
    """Raises ModelRejected as soon as a loss, or at the end of an epoch a weight, is no longer a number.

    The weights are looked at because oneDNN's ReLU and pooling swallow nan: a dead network then has a loss of ln K.
    """

    def __init__(self, learning_rate: float, weights: Sequence[Any]) -> None:
        self._rate, self._weights, self._epoch = learning_rate, weights, 0

    def on_epoch_begin(self, epoch: int, _: Logs) -> None:
        self._epoch = epoch + 1

    def on_train_batch_end(self, _: int, logs: Logs) -> None:
        self._judge("loss", logs["loss"])

    def on_epoch_end(self, _: int, logs: Logs) -> None:
        self._judge("val_loss", logs["val_loss"])
        for weight in self._weights:
            self._judge(f"the sum of {weight.path}", float(weight.numpy().sum()))

    def _judge(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise ModelRejected(
                f"training diverged in epoch {self._epoch}: {name} is {value}; lower train.learning_rate "
                f"({self._rate:g} now): python -m pipeline run --set train.learning_rate={self._rate / 10:g}"
            )


class Narrator:
    """A bar over the steps of each epoch, then a line with its figures; `seconds` holds each epoch's wall time."""

    def __init__(self, epochs: int, steps: int, shown: ExitStack) -> None:
        self._epochs, self._steps, self._shown = epochs, steps, shown
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, _: Logs) -> None:
        self._start = time.monotonic()
        self._advance = self._shown.enter_context(progress(f"epoch {epoch + 1}/{self._epochs}", self._steps))

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        self._advance(batch + 1, f"loss {logs['loss']:.4f}  accuracy {logs['accuracy']:.4f}")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        self._shown.close()
        self.seconds.append(round(time.monotonic() - self._start, 3))
        figures = "  ".join(f"{name} {logs[name]:.4f}" for name in FIGURES)
        say(f"  epoch {epoch + 1}/{self._epochs}  {figures}  ({self.seconds[-1]:.0f} s)")


class Reminder:
    """Gives callbacks back what they knew when the last training ended."""

    def __init__(self, others: list[Any], state: checkpoint.State) -> None:
        self._others, self._state = others, state

    def on_train_begin(self, _: Logs) -> None:
        checkpoint.remind(self._others, self._state)  # only now: each of them has just begun anew


class Backup:
    """Keeps the history, writes TensorBoard's events and saves the whole state: the last of the callbacks."""

    def __init__(
        self, learner: Learner, work: Path, others: list[Any], state: checkpoint.State, events: Events
    ) -> None:
        """*others* are the callbacks that remember something from one epoch to the next."""
        self._learner, self._model, self._work = learner, learner.model, work
        self._others, self._state, self._events = others, state, events

    def on_epoch_begin(self, _: int, __: Logs) -> None:
        self._rate = float(self._model.optimizer.learning_rate)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        figures = {name: float(logs[name]) for name in FIGURES} | {"learning_rate": self._rate}
        self._state["rows"].append({"epoch": epoch + 1, **figures})
        self._state["stopped"] = bool(self._model.stop_training)
        self._events.write(epoch, figures, {weight.path: weight.numpy() for weight in self._model.weights})
        checkpoint.save(self._work, self._learner.variables, self._others, self._state)


def callbacks(
    learner: Learner, params: Train, work: Path, state: checkpoint.State, narrator: Narrator, events: Events
) -> list[Any]:
    """Every callback of a training, in order; *state* is kept up to date in memory and in *work*."""
    import keras

    best = keras.callbacks.ModelCheckpoint(
        str(checkpoint.best_weights(work)), MONITOR, save_best_only=True, save_weights_only=True
    )
    keepers = [best, *_deciders(params)]
    before = [Divergence(params.learning_rate, learner.model.trainable_weights), narrator]
    average = [learner.average] if learner.average else []
    after = [*average, Reminder(keepers, state), Backup(learner, work, keepers, state, events)]
    return [*map(hooked, before), *keepers, *map(hooked, after)]


def assisting(learner: Learner, params: Train, state: checkpoint.State) -> list[Any]:
    """The callbacks of a worker that another one writes for: it decides as that one does, and keeps nothing."""
    deciders, average = _deciders(params), [learner.average] if learner.average else []
    judge = Divergence(params.learning_rate, learner.model.trainable_weights)
    return [hooked(judge), *deciders, *map(hooked, average), hooked(Reminder(deciders, state))]


def _deciders(params: Train) -> list[Any]:
    """What changes the course of a training by what an epoch came to."""
    import keras

    found = [keras.callbacks.EarlyStopping(MONITOR, patience=params.patience)]
    if params.schedule == "plateau":
        patience = max(1, params.patience - 2)  # a smaller step gets its chance before training stops
        found.append(keras.callbacks.ReduceLROnPlateau(MONITOR, factor=0.2, patience=patience))
    return found


def watched(watch: Watch | None, state: checkpoint.State) -> list[Any]:
    """Lets *watch* see the history once the epoch is safe on disk; what it raises ends the training."""
    import keras

    return [keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: watch(state["rows"]))] if watch else []


def hooked(listener: object) -> Any:
    """A plain object as a Keras callback, so that this module can be imported without Keras."""
    import keras

    hooks = {hook: getattr(listener, hook) for hook in HOOKS if hasattr(listener, hook)}
    return keras.callbacks.LambdaCallback(**hooks)
