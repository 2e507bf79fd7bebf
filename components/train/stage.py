"""Train: fit the network to the training split and keep the weights that are best on the validation split.

Measured on MNIST's 10,000 test images with the default profile: 99.55 % (five seeds, 99.52 to 99.57).
"""

import csv
import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from components.artifact_files import Calibration, FinalMetrics, HistoryRow, MemberSummary, TrainSummary
from components.models.complexity import complexity
from components.models.saving import write_model
from components.progress import say
from components.settings.augmentation import without_effect
from components.settings.sections import NO_WEIGHTS, Train
from components.system.processor import processor
from components.system.tensorflow import KerasModel, use_threads
from components.train.best_epoch import best_epoch
from components.train.calibration import calibrate
from components.train.distributed.cluster import cluster
from components.train.ensemble import ensemble, mean_history, member_settings
from components.train.loop import input_pipelines
from components.train.resolve import resolved
from components.train.task import Task, TeacherFile, Watch
from components.train.trainer import LAUNCHER, TrainedNetwork, evaluate, train_network

TRAIN_EVAL_IMAGES = 10_000  # training images used to estimate training accuracy: to 0.2 points, in a fifth of the time


def train(
    normalize: Path,
    out: Path,
    work: Path,
    logs: Path,
    params: Train,
    teacher: TeacherFile | None = None,
    weights: Path | None = None,
    watch: Watch | None = None,
) -> dict[str, object]:
    """Write the best model and its history to *out*.

    out/
      model.keras     uint8 pixels 0..255 (N, H, W, C) in, float32 probabilities (N, classes) out; for inference only
      history.csv     epoch, loss, accuracy, val_loss, val_accuracy, learning_rate: a row an epoch
      summary.json    model, augment, parameters, weight_bytes, macs, layers, epochs, best_epoch, steps, stopped_early,
                      precision, accuracies and losses (of training: on 10,000 of its images), calibration
      members/1.csv   of an ensemble: the history of each member; history.csv holds their mean

    *work* receives checkpoints and *logs* TensorBoard's event files, each in a folder member-K per member of an
    ensemble. Killed at any moment and called again with the same *work*, it writes the same bytes as an undisturbed
    training. *teacher* is the model.keras to distil from, where params.teacher names one, and *weights* the file to
    start from, where params.weights does. *watch*, for a search, is called with the history (of an ensemble, its first
    member's) after each epoch, and ends the training by raising.
    Raises ConfigError where the network or the teacher cannot take the images, the weights fit no layer or a step does
    not fit into memory, ModelRejected for a NaN or infinite loss, StorageFailed where the best weights were lost.
    """
    start = time.monotonic()
    params = resolved(params, normalize)
    if params.workers == 1:  # several have processes of their own
        use_threads(params.threads)
    if bool(params.teacher) != (teacher is not None) or (params.weights == NO_WEIGHTS) != (weights is None):
        raise ValueError("a teacher, and weights, take their file and their name in the settings")
    task = Task(normalize, params, work, logs, teacher, weights)
    if unused := without_effect(params.augment, task.data["shape"][-1]):
        say(f"  train.augment: no effect of {' and '.join(unused)} on grey images")
    trained = [train_network(part, watch if k == 0 else None) for k, part in enumerate(_member_tasks(task))]
    final = trained[0].model if len(trained) == 1 else ensemble([network.model for network in trained])
    calibration: Calibration | None = None
    if params.calibrate:
        final, calibration = calibrate(final, normalize)
    write_model(final, out / "model.keras", task.data["classes"])
    history = _write_histories(trained, out)
    summary = _summary(final, trained, history, task, calibration)
    (out / "summary.json").write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n")
    return _facts(summary, trained, params, time.monotonic() - start)


def _facts(summary: TrainSummary, trained: list[TrainedNetwork], params: Train, seconds: float) -> dict[str, object]:
    return {
        "epochs": summary["epochs"],
        "best_epoch": summary["best_epoch"],
        "precision": summary["precision"],
        "processor": {**processor(), "threads": params.threads},
        "train_accuracy": summary["train_accuracy"],
        "validation_accuracy": summary["validation_accuracy"],
        "resumed_after_epoch": sum(network.epochs.resumed_after for network in trained),
        "epoch_seconds": [seconds for network in trained for seconds in network.epochs.seconds],
        "seconds": round(seconds, 3),
    }


def assist(normalize: Path, params: Train, teacher: TeacherFile | None = None, weights: Path | None = None) -> None:
    """Be a worker of the training that the chief, on another machine named in TF_CONFIG, runs with `train`.

    Writes nothing. Raises the failure that ended the training there, and WorkerLost where another worker ended or never
    answered.
    """
    for settings in member_settings(resolved(params, normalize)):
        task = Task(normalize, settings, Path(), Path(), teacher, weights)
        import_module(LAUNCHER).train(cluster(params.workers), task, [], None)


def _member_tasks(task: Task) -> Iterator[Task]:
    """*task* itself, or one for each member of an ensemble, announced when its turn comes."""
    members = member_settings(task.params)
    if len(members) == 1:
        yield replace(task, params=members[0])
        return
    for k, params in enumerate(members, 1):
        say(f"  member {k} of {len(members)}: {params.model}, seed {params.seed}")
        yield replace(task, params=params, work=_member_folder(task.work, k), logs=_member_folder(task.logs, k))


def _member_folder(parent: Path, number: int) -> Path:
    folder = parent / f"member-{number}"
    folder.mkdir(exist_ok=True)
    return folder


def _write_histories(trained: list[TrainedNetwork], out: Path) -> list[HistoryRow]:
    """Write the history of each member and their mean, which is returned."""
    history = mean_history([network.history for network in trained])
    _write_history(history, out / "history.csv")
    if len(trained) > 1:
        (out / "members").mkdir()
        for k, network in enumerate(trained, 1):
            _write_history(network.history, out / "members" / f"{k}.csv")
    return history


def _write_history(history: list[HistoryRow], path: Path) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(history[0]), lineterminator="\n")
        table.writeheader()
        table.writerows({name: f"{value:.7g}" for name, value in row.items()} for row in history)


def _summary(
    final: KerasModel,
    trained: list[TrainedNetwork],
    history: list[HistoryRow],
    task: Task,
    calibration: Calibration | None,
) -> TrainSummary:
    summary: TrainSummary = {
        "model": ",".join(dict.fromkeys(network.params.model for network in trained)),
        "augment": task.params.augment,
        **complexity(final),
        "layers": [layer.name for layer in final.layers],
        "epochs": len(history),
        "best_epoch": int(best_epoch(task.params, history)["epoch"]),
        "steps": len(history) * math.ceil(task.data["images"]["train"] / task.params.batch_size),
        "stopped_early": all(network.stopped_early for network in trained),
        "precision": ",".join(dict.fromkeys(network.params.precision for network in trained)),
        **_final_metrics(final, trained, task),  # type: ignore[typeddict-item]  # which has no calibration
        "members": [_member_summary(network) for network in trained],
    }
    if calibration:
        summary["calibration"] = calibration
    if len(trained) == 1:
        del summary["members"]
    return summary


def _final_metrics(final: KerasModel, trained: list[TrainedNetwork], task: Task) -> FinalMetrics:
    """Loss and accuracy of the final model, on training images evenly out of all and on the validation split."""
    inputs = input_pipelines(task)
    training = evaluate(final, inputs.training, task.params, TRAIN_EVAL_IMAGES)
    known = trained[0].validation if final is trained[0].model else None
    validation = known or evaluate(final, inputs.validation, task.params)
    return {
        "train_loss": training.loss,
        "train_accuracy": training.accuracy,
        "validation_loss": validation.loss,
        "validation_accuracy": validation.accuracy,
    }


def _member_summary(network: TrainedNetwork) -> MemberSummary:
    row = best_epoch(network.params, network.history)
    return {
        "model": network.params.model,
        "seed": network.params.seed,
        "epochs": len(network.history),
        "best_epoch": int(row["epoch"]),
        "validation_accuracy": row["val_accuracy"],
        "validation_loss": row["val_loss"],
    }
