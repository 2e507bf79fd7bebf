"""The training loop: input pipelines, callbacks, and the epochs that are left."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from components.data.input_pipeline import InputPipeline, Share, Teacher
from components.data.splits import Split
from components.progress import say
from components.system.tensorflow import Callback
from components.train.callbacks import EpochReport, training_callbacks, watch_callbacks
from components.train.checkpoint import Progress
from components.train.task import Task, Watch
from components.train.tensorboard import EventWriter
from components.train.train_state import TrainState


class Inputs(NamedTuple):
    """The batches of the training and the validation split."""

    training: InputPipeline
    validation: InputPipeline


def input_pipelines(task: Task, teacher: Teacher | None = None, share: Share | None = None) -> Inputs:
    """The batches of *task*, or a worker's *share* of them."""
    train, validation = (Split(task.normalize / part) for part in ("train", "validation"))
    classes = len(task.data["classes"])
    return Inputs(
        InputPipeline(train, classes, task.params, teacher, share),
        InputPipeline(validation, classes, task.params, share=share),
    )


def run_epochs(
    task: Task,
    state: TrainState,
    inputs: Inputs,
    progress: Progress,
    watch: Watch | None = None,
    first: Sequence[Callback] = (),
    end: int | None = None,
) -> list[float]:
    """Train from where *progress* ends to the last epoch, or to *end*; returns the seconds of each epoch.

    *progress* is kept up to date, in memory and in the checkpoint. The callbacks *first* run before all others.
    """
    with ExitStack() as bars, EventWriter(task.logs) as events:
        report = EpochReport(task.params.epochs, inputs.training.steps, bars)
        own = training_callbacks(task, state, progress, report, events)
        fit(task, state, inputs, progress, [*first, *own, *watch_callbacks(watch, progress)], end)
    return report.seconds


def report_resumption(task: Task, progress: Progress) -> None:
    if done := len(progress["history"]):
        say(f"  epoch {done} of {task.params.epochs} is done already: resuming after it")


def fit(
    task: Task,
    state: TrainState,
    inputs: Inputs,
    progress: Progress,
    callbacks: Sequence[Callback],
    end: int | None = None,
) -> None:
    """Run Keras' `fit` for the epochs that are left, if any, to the last one or to *end*."""
    done, epochs = len(progress["history"]), end or task.params.epochs
    if progress["stopped"] or done >= epochs:
        return
    state.model.fit(
        inputs.training.training(done),
        shuffle=False,  # the input pipeline shuffles
        initial_epoch=done,
        epochs=epochs,
        steps_per_epoch=inputs.training.steps,
        validation_data=inputs.validation.measuring(),
        callbacks=list(callbacks),
        verbose=0,
    )
