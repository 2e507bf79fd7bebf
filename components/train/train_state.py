"""A network, and a network while it learns: with its loss, its optimizer and the moving average of its weights."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.data.input_pipeline import Feed
from components.models import build
from components.models.catalog import said_by
from components.models.config import Knobs
from components.settings.sections import Train
from components.train import checkpoint, losses
from components.train.ema import Average
from components.train.optimizers import optimizer

CPUINFO = Path("/proc/cpuinfo")


def resolve(params: Train) -> str:
    """What the settings' network computes in.

    "auto" is bfloat16 where this processor computes in it, as it is slower than float32 elsewhere, unless the network
    names another PRECISION.
    """
    if params.precision != "auto":
        return params.precision
    flags = CPUINFO.read_text() if CPUINFO.exists() else ""
    fastest = "mixed_bfloat16" if re.search(r"\b(amx_bf16|avx512_bf16)\b", flags) else "float32"
    return str(said_by(params.model, "PRECISION", fastest))


def network(data: dict[str, Any], params: Train, precision: str) -> Any:
    """The untrained network of the settings for the images that *data* (normalize's data.json) describes."""
    knobs = Knobs(
        shape=tuple(data["shape"]),
        classes=len(data["classes"]),
        dropout=params.dropout,
        width=params.width,
        depth=params.depth,
        l2=params.l2,
    )
    return build.build(params.model, knobs, mean=data["mean"], std=data["std"], precision=precision)


@dataclass(frozen=True)
class Learner:
    model: Any  # compiled
    average: Average | None

    @property
    def variables(self) -> list[Any]:
        """All that the next step depends on, dropout's random state included: what a killed training goes on from."""
        averages = self.average.variables if self.average else []
        return [*self.model.variables, *self.model.optimizer.variables, *averages]

    def fit(self, feed: Feed, held_out: Feed, params: Train, state: checkpoint.State, listeners: list[Any]) -> None:
        """Train on *feed* to the last epoch, from where *state* left off; nothing is to be done where that is over."""
        done = len(state["rows"])
        if state["stopped"] or done >= params.epochs:
            return
        self.model.fit(
            feed.training(done),
            shuffle=False,  # the feed does it
            initial_epoch=done,
            epochs=params.epochs,
            steps_per_epoch=feed.steps,
            validation_data=held_out.measuring(),
            callbacks=listeners,
            verbose=0,
        )


def learner(model: Any, params: Train, steps: int) -> Learner:
    """*model*, ready for epochs of *steps* batches; every variable exists afterwards, ready to be restored."""
    model.compile(optimizer(model, params, steps), losses.loss(params), metrics=[losses.accuracy(params)])
    return Learner(model, Average(model, params.ema) if params.ema else None)
