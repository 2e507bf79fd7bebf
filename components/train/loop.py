"""A training as its one process does it, or of several the chief: the epochs told, drawn, and kept for a next try."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from components.data.input_pipeline import Feed, Share
from components.data.splits import Split
from components.progress import say
from components.settings.sections import Train
from components.train import checkpoint
from components.train.callbacks import Narrator, Watch, callbacks, watched
from components.train.distillation import Teacher
from components.train.tensorboard import Events
from components.train.train_state import Learner


def feeds(
    normalize: Path, data: dict[str, Any], params: Train, teacher: Teacher | None = None, share: Share | None = None
) -> tuple[Feed, Feed]:
    """The training and the validation split, or a worker's share of them; *data* is normalize's data.json."""
    train, validation = (Split(normalize / part) for part in ("train", "validation"))
    classes = len(data["classes"])
    return Feed(train, classes, params, teacher, share), Feed(validation, classes, params, share=share)


def fit(
    learner: Learner,
    feed: Feed,
    held_out: Feed,
    work: Path,
    logs: Path,
    params: Train,
    state: checkpoint.State,
    first: list[Any],
    watch: Watch | None = None,
) -> list[float]:
    """Train from where *state* left off to the end; returns the seconds of each epoch.

    *state*, in memory and in *work*, is kept up to date. *first* are the callbacks that come before all others.
    """
    if done := len(state["rows"]):
        say(f"  epoch {done} of {params.epochs} is done already: going on from there")
    with ExitStack() as shown, Events(logs) as events:
        narrator = Narrator(params.epochs, feed.steps, shown)
        told = [*callbacks(learner, params, work, state, narrator, events), *watched(watch, state)]
        learner.fit(feed, held_out, params, state, [*first, *told])
    return narrator.seconds
