"""One network from its first weights to its best ones: what a training is, or one of those that make an ensemble."""

import contextlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import footprint, losses, memory, resume
from components.batches import Feed
from components.callbacks import MONITOR, Narrator, Watch, callbacks, watched
from components.distill import Teacher
from components.ensemble import Row
from components.errors import StorageFailed
from components.events import Events
from components.learner import Learner, learner, network, resolve
from components.params import Train
from components.progress import say
from components.splits import Split

SAME_ACCURACY = 0.005  # room for a training that goes on on another machine


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
    teacher: Teacher | None,
    watch: Watch | None,
) -> Member:
    """Train one network; *work* receives what a killed training goes on from, *data* is normalize's data.json.

    What it does depends on nothing that the process did before. Raises as `components.train.train` does.
    """
    import keras

    keras.utils.set_random_seed(params.seed)
    model = network(data, params, resolve(params.precision))  # first: what it refuses is told before images are read
    batch, free = min(params.batch_size, len(Split(normalize / "train"))), memory.available()
    footprint.check(model, batch, free)
    feed, held_out = feeds(normalize, data, params, teacher)
    with footprint.explained(model, batch, free):
        trained = _fit(learner(model, params, feed.steps), feed, held_out, work, logs, params, watch)
    validation = _restore_best(model, held_out, trained[0], work)
    final = network(data, params, "float32")  # what it is served as: TFLite knows no bfloat16
    final.set_weights(model.get_weights())
    return Member(params, final, *trained, validation if resolve(params.precision) == "float32" else None)


def feeds(normalize: Path, data: dict[str, Any], params: Train, teacher: Teacher | None = None) -> tuple[Feed, Feed]:
    """The training and the validation split."""
    train, validation = (Split(normalize / part) for part in ("train", "validation"))
    classes = len(data["classes"])
    return Feed(train, classes, params, teacher), Feed(validation, classes, params)


def measure(model: Any, feed: Feed, params: Train, most: int | None = None) -> tuple[float, float]:
    """Loss and accuracy of *model* on the images of *feed*, or on *most* of them; the model is compiled afterwards."""
    model.compile(loss=losses.loss(params), metrics=[losses.accuracy(params)])
    loss, accuracy = model.evaluate(feed.measuring(most), verbose=0)
    return loss, accuracy


def _fit(
    learner: Learner, feed: Feed, held_out: Feed, work: Path, logs: Path, params: Train, watch: Watch | None
) -> tuple[list[Row], int, list[float]]:
    """Train from where *work* left off to the end; returns the history, the epochs done before and those done now."""
    state = resume.load(work, learner.variables)
    done = len(state["rows"])
    if done:
        say(f"  epoch {done} of {params.epochs} is done already: going on from there")
    with ExitStack() as shown, Events(logs) as events:
        narrator = Narrator(params.epochs, feed.steps, shown)
        if not state["stopped"] and done < params.epochs:
            learner.model.fit(
                feed.training(done),
                shuffle=False,  # the feed does it
                initial_epoch=done,
                epochs=params.epochs,
                steps_per_epoch=feed.steps,
                validation_data=held_out.measuring(),
                callbacks=[*callbacks(learner, params, work, state, narrator, events), *watched(watch, state)],
                verbose=0,
            )
    return state["rows"], done, narrator.seconds


def _restore_best(model: Any, held_out: Feed, rows: list[Row], work: Path) -> tuple[float, float]:
    """Load the best epoch's weights, and see that they do on the validation split what that epoch did.

    Returns their loss and accuracy there.
    """
    path, expected, loss, accuracy = resume.best_weights(work), best(rows), float("nan"), float("nan")
    with contextlib.suppress(*resume.UNREADABLE):
        model.load_weights(path)
        loss, accuracy = model.evaluate(held_out.measuring(), verbose=0)
    if not abs(accuracy - expected["val_accuracy"]) <= SAME_ACCURACY:
        resume.forget(work)
        raise StorageFailed(
            f"{path} does not hold the weights of epoch {expected['epoch']}: their validation accuracy is "
            f"{accuracy:.4f}, not {expected['val_accuracy']:.4f}. Run it again: training starts from its first epoch"
        )
    return loss, accuracy
