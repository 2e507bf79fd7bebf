"""Train: fit the network to the training split and keep the weights that did best on the validation split.

Measured on MNIST's 10,000 test images with what is recommended for it: 99.55 % (five seeds, 99.52 to 99.57).
"""

import csv
import json
import time
from pathlib import Path
from typing import Any

from components.models.complexity import sizes
from components.models.saving import write_model
from components.progress import say
from components.settings.sections import Train
from components.system.tensorflow import tensorflow
from components.train.callbacks import Watch
from components.train.distributed import launcher
from components.train.distributed.cluster import cluster
from components.train.ensemble import Row, ensemble, mean_history, members
from components.train.loop import feeds
from components.train.train_state import resolve
from components.train.trainer import Member, best, measure, member, task_of

TOLD_BY = 10_000  # training images that tell how well they are known


def train(
    normalize: Path,
    out: Path,
    work: Path,
    logs: Path,
    params: Train,
    teacher: Path | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Write the best model and how it came about to *out*.

    out/
      model.keras     uint8 pixels 0..255 (N, H, W, C) in, float32 probabilities (N, classes) out; for inference only
      history.csv     epoch, loss, accuracy, val_loss, val_accuracy, learning_rate: a row an epoch
      summary.json    model, augment, parameters, weight_bytes, macs, layers, epochs, best_epoch, stopped_early,
                      precision, accuracies and losses (of training: on 10,000 of its images)
      members/1.csv   of an ensemble: the history of each member; history.csv holds their mean

    *work* receives what a killed training goes on from (components.train.checkpoint), *logs* TensorBoard's events,
    each with a
    folder member-K per member of an ensemble. Killed at any moment and called again with the same *work*, it writes the
    bytes that it would have written undisturbed. *teacher* is the model.keras to distil from, where params.teacher
    names one. *watch*, where a search watches, is called with the history (of an ensemble, its first member's) after
    each epoch, and ends the training by raising.
    Raises ConfigError when the network or the teacher cannot take the images or a step would not fit into memory,
    ModelRejected when a loss is no longer a number, StorageFailed when the best weights were lost.
    """
    start = time.monotonic()
    tensorflow()
    data = json.loads((normalize / "data.json").read_text())
    if bool(params.teacher) != (teacher is not None):
        raise ValueError("a teacher takes its file and its name in the settings")
    trained = []
    for k, settings in enumerate(members(params), 1):
        folders = (work, logs) if params.members == 1 else (_member_folder(work, k), _member_folder(logs, k))
        if params.members > 1:
            say(f"  member {k} of {params.members}: {settings.model}, seed {settings.seed}")
        trained.append(member(normalize, data, *folders, settings, teacher, watch if k == 1 else None))

    final = trained[0].model if len(trained) == 1 else ensemble([one.model for one in trained])
    write_model(final, out / "model.keras")
    rows = _write_histories(trained, out)
    summary = _summary(final, trained, rows, params) | _measure(final, trained, normalize, data, params)
    (out / "summary.json").write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n")
    headline = ("epochs", "best_epoch", "precision", "train_accuracy", "validation_accuracy")
    return {key: summary[key] for key in headline} | {
        "resumed_after_epoch": sum(one.resumed_after for one in trained),
        "epoch_seconds": [seconds for one in trained for seconds in one.seconds],
        "seconds": round(time.monotonic() - start, 3),
    }


def assist(normalize: Path, params: Train, teacher: Path | None = None) -> None:
    """Be a worker of the training that the chief, on another machine that TF_CONFIG names, does by `train`.

    Writes nothing. Raises what ended the training there, and WorkerLost where another worker ended or never answered.
    """
    for settings in members(params):
        launcher.train(cluster(params.workers), task_of(normalize, settings, teacher, Path(), Path()), [], None)


def _member_folder(parent: Path, number: int) -> Path:
    folder = parent / f"member-{number}"
    folder.mkdir(exist_ok=True)
    return folder


def _measure(
    final: Any, trained: list[Member], normalize: Path, data: dict[str, Any], params: Train
) -> dict[str, float]:
    """Loss and accuracy of the model that is kept: on the validation split, and on as many images as tell of training.

    The training images come `TOLD_BY` at most, evenly out of all: a share to 0.2 points, in a fifth of the time.
    """
    feed, held_out = feeds(normalize, data, params)
    of_training = measure(final, feed, params, TOLD_BY)
    known = trained[0].validation if len(trained) == 1 else None
    validation = known or measure(final, held_out, params)
    names = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    return dict(zip(names, (*of_training, *validation), strict=True))


def _write_histories(trained: list[Member], out: Path) -> list[Row]:
    """Write each member's history, and that of the whole, which is returned."""
    rows = mean_history([one.rows for one in trained])
    _write_history(rows, out / "history.csv")
    if len(trained) > 1:
        (out / "members").mkdir()
        for k, one in enumerate(trained, 1):
            _write_history(one.rows, out / "members" / f"{k}.csv")
    return rows


def _write_history(rows: list[Row], path: Path) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows({name: f"{value:.7g}" for name, value in row.items()} for row in rows)


def _summary(final: Any, trained: list[Member], rows: list[Row], params: Train) -> dict[str, Any]:
    summary = {
        "model": ",".join(dict.fromkeys(one.params.model for one in trained)),
        "augment": params.augment,
        **sizes(final),
        "layers": [layer.name for layer in final.layers],
        "epochs": len(rows),
        "best_epoch": int(best(rows)["epoch"]),
        "stopped_early": all(len(one.rows) < params.epochs for one in trained),
        "precision": ",".join(dict.fromkeys(resolve(one.params) for one in trained)),
    }
    return summary | ({"members": [_member_summary(one) for one in trained]} if len(trained) > 1 else {})


def _member_summary(one: Member) -> dict[str, Any]:
    return {
        "model": one.params.model,
        "seed": one.params.seed,
        "epochs": len(one.rows),
        "best_epoch": int(one.best["epoch"]),
        "validation_accuracy": one.best["val_accuracy"],
        "validation_loss": one.best["val_loss"],
    }
