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
from components.train.cycles import last_epoch
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
    """Train from where *progress* ends to the last epoch of the last cycle, or to *end*; returns each epoch's seconds.

    *progress* is kept up to date, in memory and in the checkpoint. The callbacks *first* run before all others.
    """
    with ExitStack() as bars, EventWriter(task.logs) as events:
        report = EpochReport(inputs.training.steps, bars)
        own = training_callbacks(task, state, progress, report, events)
        callbacks = [*first, *own, *watch_callbacks(watch, progress)]
        while not ended(task, progress, end):
            report.epochs = last_epoch(task.params, progress["history"])
            if report.epochs > task.params.epochs:
                say(f"  the validation loss still falls: going on to epoch {report.epochs}")
            fit(task, state, inputs, progress, callbacks, end)
    return report.seconds


def report_resumption(task: Task, progress: Progress) -> None:
    if done := len(progress["history"]):
        say(f"  epoch {done} of {last_epoch(task.params, progress['history'])} is done already: resuming after it")


def ended(task: Task, progress: Progress, end: int | None = None) -> bool:
    """Whether the training of *task*, or the part of it to the epoch *end*, is over."""
    return progress["stopped"] or len(progress["history"]) >= _last(task, progress, end)


def _last(task: Task, progress: Progress, end: int | None) -> int:
    last = last_epoch(task.params, progress["history"])
    return min(last, end) if end else last


def fit(
    task: Task,
    state: TrainState,
    inputs: Inputs,
    progress: Progress,
    callbacks: Sequence[Callback],
    end: int | None = None,
) -> None:
    """Run Keras' `fit` for the epochs that are left of the cycle, if any, or to *end*."""
    if ended(task, progress, end):
        return
    done, last = len(progress["history"]), _last(task, progress, end)
    state.model.fit(
        inputs.training.training(done, last),
        shuffle=False,  # the input pipeline shuffles
        initial_epoch=done,
        epochs=last,
        steps_per_epoch=inputs.training.steps,
        validation_data=inputs.validation.measuring(),
        callbacks=list(callbacks),
        verbose=0,
    )
