"""Train one network: the whole training, or one member of an ensemble."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from components.artifact_files import HistoryRow
from components.data.input_pipeline import InputPipeline
from components.data.splits import Split
from components.errors import StorageFailed
from components.progress import say
from components.settings.sections import Train
from components.system import memory
from components.system.tensorflow import KerasModel
from components.train import checkpoint, losses, memory_check
from components.train.best_epoch import best_epoch
from components.train.cycles import last_epoch
from components.train.distillation import read_teacher
from components.train.distributed.cluster import Cluster, cluster
from components.train.loop import Inputs, ended, input_pipelines, report_resumption, run_epochs
from components.train.network import untrained_network
from components.train.phases import PhasedTraining, applied, described
from components.train.task import Task, Watch
from components.train.train_state import create_train_state
from components.train.weights import Initialized, initialize

LAUNCHER = "components.train.distributed.launcher"  # imported by name: its code is part of the key of several workers
ACCURACY_TOLERANCE = 0.005  # of a training that was resumed on another machine
IMAGES_TOLERANCE = 2.5  # of a small validation split: workers' shares round otherwise than the whole


class Evaluation(NamedTuple):
    loss: float
    accuracy: float


class Epochs(NamedTuple):
    history: list[HistoryRow]
    resumed_after: int  # epochs that an earlier process trained
    seconds: list[float]  # of each epoch that this process trained


@dataclass(frozen=True)
class TrainedNetwork:
    params: Train
    model: KerasModel  # in float32, not compiled, with the weights of the best epoch
    epochs: Epochs
    validation: Evaluation | None  # None where it was trained in another precision than float32

    @property
    def history(self) -> list[HistoryRow]:
        return self.epochs.history

    @property
    def stopped_early(self) -> bool:
        return len(self.history) < last_epoch(self.params, self.history)


def train_network(task: Task, watch: Watch | None = None) -> TrainedNetwork:
    """Train the network of *task*; it depends on nothing that the process did before.

    Raises as `components.train.stage.train` does.
    """
    import keras

    params, workers = task.params, cluster(task.params.workers)
    keras.utils.set_random_seed(params.seed)
    # first, so that what it rejects is reported before any image is read
    model = untrained_network(task.data, params, params.precision)
    initialized = initialize(model, task.weights, params, task.data["classes"])
    if initialized.layers:
        say(f"  {described(applied(params, initialized), initialized)}")
    batch, free = min(params.batch_size, len(Split(task.normalize / "train"))), memory.available()
    memory_check.check(model, math.ceil(batch * len(workers.here) / workers.size), free)
    teacher = read_teacher(task.teacher, task.data["shape"], task.data["classes"]) if task.teacher else None
    inputs = input_pipelines(task, teacher)
    with memory_check.explained(model, batch, free):
        if params.workers > 1:
            create_train_state(model, params, inputs.training.steps)
            epochs = _train_distributed(workers, task, watch)
        else:
            epochs = _train_here(model, initialized, inputs, task, watch)
    validation = _restore_best(
        model, inputs.validation, best_epoch(params, epochs.history), task.work, _tolerance(params, inputs)
    )
    served = untrained_network(task.data, params, "float32")  # TFLite has no bfloat16
    served.set_weights(model.get_weights())
    return TrainedNetwork(params, served, epochs, validation if params.precision == "float32" else None)


def evaluate(model: KerasModel, pipeline: InputPipeline, params: Train, limit: int | None = None) -> Evaluation:
    """Loss and accuracy of *model* on the images of *pipeline*, at most *limit* of them; compiles the model."""
    model.compile(loss=losses.loss(params), metrics=[losses.accuracy(params)])
    return Evaluation(*model.evaluate(pipeline.measuring(limit), verbose=0))


def _train_here(model: KerasModel, initialized: Initialized, inputs: Inputs, task: Task, watch: Watch | None) -> Epochs:
    task = replace(task, params=applied(task.params, initialized))
    training = PhasedTraining(model, task.params, initialized, inputs.training.steps)
    progress = training.restore(task.work)
    done = len(progress["history"])
    report_resumption(task, progress)
    seconds: list[float] = []
    for phase in training.remaining(progress):
        seconds += run_epochs(task, training.state, inputs, progress, watch, end=phase.end)
    return Epochs(progress["history"], done, seconds)


def _train_distributed(workers: Cluster, task: Task, watch: Watch | None) -> Epochs:
    """Let the workers train; those on other machines cannot know that all epochs are done, so they are waited for."""
    before = checkpoint.read_progress(task.work)
    seconds: list[float] = []
    if workers.addresses or not ended(task, before):
        seconds = import_module(LAUNCHER).train(workers, task, [*before["history"]], watch)
    history = checkpoint.read_progress(task.work)["history"]
    if not history:
        raise StorageFailed(
            f"{task.work} lost what the workers wrote; run it again: training starts from the first epoch"
        )
    return Epochs(history, min(len(before["history"]), len(history)), seconds)


def _tolerance(params: Train, inputs: Inputs) -> float:
    if params.workers == 1:
        return ACCURACY_TOLERANCE
    return max(ACCURACY_TOLERANCE, IMAGES_TOLERANCE / inputs.validation.measured)


def _restore_best(
    model: KerasModel, validation: InputPipeline, expected: Mapping[str, float], work: Path, tolerance: float
) -> Evaluation:
    """Load the weights of the best epoch and check that they reach its accuracy, *expected*, on the validation split.

    Raises StorageFailed where they do not.
    """
    evaluation, reason = Evaluation(math.nan, math.nan), "it cannot be read"
    if weights := checkpoint.read_best(work, model.weights):
        model.set_weights(weights)
        evaluation = Evaluation(*model.evaluate(validation.measuring(), verbose=0))
        reason = f"their validation accuracy is {evaluation.accuracy:.4f}, not {expected['val_accuracy']:.4f}"
    if not abs(evaluation.accuracy - expected["val_accuracy"]) <= tolerance:
        checkpoint.discard(work)
        raise StorageFailed(
            f"{checkpoint.state_file(work)} does not hold the weights of epoch {expected['epoch']}: {reason}. "
            "Run it again: training starts from the first epoch"
        )
    return evaluation
