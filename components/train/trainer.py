"""One network from its first weights to its best ones: what a training is, or one of those that make an ensemble."""

import contextlib
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.data.input_pipeline import Feed
from components.data.splits import Split
from components.errors import StorageFailed
from components.settings.sections import Train
from components.system import memory
from components.train import checkpoint, losses, memory_check
from components.train.callbacks import MONITOR, Watch
from components.train.distillation import teacher as read_teacher
from components.train.distributed import launcher
from components.train.distributed.cluster import Cluster, Task, cluster
from components.train.ensemble import Row
from components.train.loop import feeds, fit
from components.train.train_state import Learner, learner, network, resolve

SAME_ACCURACY = 0.005  # room for a training that goes on on another machine
SAME_IMAGES = 2.5  # of a small validation split: workers' shares round otherwise than the whole

Fitted = tuple[list[Row], int, list[float]]  # the history, epochs done before, seconds of each epoch done now


@dataclass(frozen=True)
class Member:
    params: Train
    model: Any  # in float32, not compiled, with the weights of the best epoch
    rows: list[Row]  # the history
    resumed_after: int  # epochs that an earlier process did
    seconds: list[float]  # wall time of each epoch that this one did
    validation: tuple[float, float] | None  # loss and accuracy there; None where it was trained in less than float32

    @property
    def best(self) -> Row:
        return best(self.rows)


def best(rows: list[Row]) -> Row:
    return min(rows, key=lambda row: row[MONITOR])


def member(
    normalize: Path,
    data: dict[str, Any],
    work: Path,
    logs: Path,
    params: Train,
    teacher: Path | None,
    watch: Watch | None,
) -> Member:
    """Train one network; *work* receives what a killed training goes on from, *data* is normalize's data.json.

    What it does depends on nothing that the process did before. Raises as `components.train.stage.train` does.
    """
    import keras

    keras.utils.set_random_seed(params.seed)
    model = network(data, params, resolve(params))  # first: what it refuses is told before images are read
    together = cluster(params.workers)
    batch, free = min(params.batch_size, len(Split(normalize / "train"))), memory.available()
    memory_check.check(model, math.ceil(batch * len(together.here) / together.size), free)
    wise = read_teacher(teacher, data["shape"], len(data["classes"])) if teacher else None
    feed, held_out = feeds(normalize, data, params, wise)
    with memory_check.explained(model, batch, free):
        alone = learner(model, params, feed.steps)
        if params.workers > 1:
            task = task_of(normalize, params, teacher, work, logs)
            trained = _fit_together(together, task, work, params, watch)
        else:
            trained = _fit(alone, feed, held_out, work, logs, params, watch)
    room = max(SAME_ACCURACY, SAME_IMAGES / held_out.measured) if params.workers > 1 else SAME_ACCURACY
    validation = _restore_best(model, held_out, trained[0], work, room)
    final = network(data, params, "float32")  # what it is served as: TFLite knows no bfloat16
    final.set_weights(model.get_weights())
    return Member(params, final, *trained, validation if resolve(params) == "float32" else None)


def measure(model: Any, feed: Feed, params: Train, most: int | None = None) -> tuple[float, float]:
    """Loss and accuracy of *model* on the images of *feed*, or on *most* of them; the model is compiled afterwards."""
    model.compile(loss=losses.loss(params), metrics=[losses.accuracy(params)])
    loss, accuracy = model.evaluate(feed.measuring(most), verbose=0)
    return loss, accuracy


def _fit(
    learner: Learner, feed: Feed, held_out: Feed, work: Path, logs: Path, params: Train, watch: Watch | None
) -> Fitted:
    """Train in this process."""
    state = checkpoint.load(work, learner.variables)
    before = len(state["rows"])
    return state["rows"], before, fit(learner, feed, held_out, work, logs, params, state, [], watch)


def _fit_together(together: Cluster, task: Task, work: Path, params: Train, watch: Watch | None) -> Fitted:
    """Have the workers train; those on other machines are waited for even where all is done, as they cannot know."""
    before = checkpoint.told(work)
    over = before["stopped"] or len(before["rows"]) >= params.epochs
    seconds = [] if over and not together.addresses else launcher.train(together, task, [*before["rows"]], watch)
    rows = checkpoint.told(work)["rows"]
    if not rows:
        raise StorageFailed(f"{work} lost what the workers wrote; run it again: training starts from its first epoch")
    return rows, min(len(before["rows"]), len(rows)), seconds


def task_of(normalize: Path, params: Train, teacher: Path | None, work: Path, logs: Path) -> Task:
    """What each worker of the training is to do."""
    return {
        "normalize": str(normalize),
        "work": str(work),
        "logs": str(logs),
        "params": asdict(params),
        "teacher": str(teacher) if teacher else None,
    }


def _restore_best(model: Any, held_out: Feed, rows: list[Row], work: Path, room: float) -> tuple[float, float]:
    """Load the best epoch's weights, and see that they do on the validation split what that epoch did, but for *room*.

    Returns their loss and accuracy there.
    """
    path, expected, loss, accuracy = checkpoint.best_weights(work), best(rows), float("nan"), float("nan")
    with contextlib.suppress(*checkpoint.UNREADABLE):
        model.load_weights(path)
        loss, accuracy = model.evaluate(held_out.measuring(), verbose=0)
    if not abs(accuracy - expected["val_accuracy"]) <= room:
        checkpoint.forget(work)
        raise StorageFailed(
            f"{path} does not hold the weights of epoch {expected['epoch']}: their validation accuracy is "
            f"{accuracy:.4f}, not {expected['val_accuracy']:.4f}. Run it again: training starts from its first epoch"
        )
    return loss, accuracy
