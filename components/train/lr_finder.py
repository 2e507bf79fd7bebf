"""The learning-rate finder: one short training whose rate grows step by step until the loss explodes.

L. N. Smith, Cyclical learning rates for training neural networks, section 3.3: arXiv:1506.01186; smoothing, stopping
and the tenth of the best rate as fastai and its authors' course have it.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from components.data.input_pipeline import Feed
from components.data.splits import Split
from components.errors import ModelRejected
from components.progress import progress
from components.settings.sections import Train
from components.system.tensorflow import tensorflow
from components.train.train_state import learner, network, resolve

LOWEST, HIGHEST = 1e-6, 10.0
STEPS = 300
SMOOTHING = 0.95  # share of the old mean in the new one
EXPLODED = 4.0  # the sweep ends where the loss is this many times the least so far
SAFE = 0.1  # of the rate where the loss was least: there it is about to explode


@dataclass(frozen=True)
class Sweep:
    """The rates tried, the smoothed loss after each, and the rate to take; None where no rate lowered the loss."""

    rates: list[float]
    losses: list[float]
    suggestion: float | None


def sweep(normalize: Path, params: Train, steps: int = STEPS) -> Sweep:
    """Train on *normalize*'s images with a rate that grows from LOWEST to HIGHEST in *steps* equal factors."""
    tensorflow()
    import keras

    keras.utils.set_random_seed(params.seed)
    data = json.loads((normalize / "data.json").read_text())
    plain = replace(params, schedule="constant", warmup=0.0, ema=0.0, learning_rate=LOWEST)
    split = Split(normalize / "train")
    plain = replace(plain, epochs=math.ceil(steps / math.ceil(len(split) / plain.batch_size)))
    feed = Feed(split, len(data["classes"]), plain)
    model = learner(network(data, plain, resolve(plain)), plain, feed.steps).model
    rates, found = [LOWEST * (HIGHEST / LOWEST) ** (i / (steps - 1)) for i in range(steps)], list[float]()
    with progress("learning rates", steps) as advance:
        for rate, batch in zip(rates, islice(feed.training(0), steps), strict=True):
            model.optimizer.learning_rate = rate
            found.append(_loss(model, batch))
            smoothed = smooth(found)
            advance(len(found), f"rate {rate:.1e}  loss {smoothed[-1]:.4f}")
            if not smoothed[-1] <= EXPLODED * min(smoothed):  # nor a number
                break
    return judge(rates[: len(found)], found)


def _loss(model: Any, batch: Any) -> float:
    """The loss on *batch*, and one step of the optimizer; images are weighted as in training."""
    model.reset_metrics()
    return float(model.train_on_batch(*batch, return_dict=True)["loss"])


def judge(rates: list[float], losses: list[float]) -> Sweep:
    """A tenth of the rate at which the smoothed loss was least, unless that was the very first."""
    smoothed = [loss for loss in smooth(losses) if math.isfinite(loss)]
    if not smoothed or (best := smoothed.index(min(smoothed))) == 0:
        return Sweep(rates[: len(smoothed)], smoothed, None)
    return Sweep(rates[: len(smoothed)], smoothed, float(f"{SAFE * rates[best]:.1e}"))


def smooth(losses: list[float]) -> list[float]:
    """The moving average after each loss, without the bias of its beginning at 0."""
    mean, found = 0.0, []
    for number, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        found.append(mean / (1 - SMOOTHING**number))
    return found


def write(found: Sweep, params: Train, folder: Path) -> Path:
    """Write learning-rates.json and learning-rates.png to *folder*; returns the picture's path.

    Raises ModelRejected where no rate lowered the loss, once both are written.
    """
    facts = {"optimizer": params.optimizer, "model": params.model, "batch_size": params.batch_size, **asdict(found)}
    (folder / "learning-rates.json").write_text(json.dumps(facts, indent=2) + "\n")
    picture = folder / "learning-rates.png"
    draw(found, params, picture)
    if found.suggestion is None:
        raise ModelRejected(
            f"no learning rate from {LOWEST:g} to {HIGHEST:g} lowered the loss of {params.model}; see {picture}, and "
            "check the images (python -m pipeline report) or take another network"
        )
    return picture


def draw(found: Sweep, params: Train, path: Path) -> None:
    """The smoothed loss over the rate, the rate on a logarithmic axis; the suggestion and the rate set are marked."""
    from components.plotting import BLUE, ORANGE, PALE, canvas

    with canvas(path, 6.4, 3.6) as figure:
        axes = figure.add_subplot()
        if found.suggestion:
            axes.axvline(found.suggestion, color=PALE, linewidth=6, zorder=0, label=f"suggested: {found.suggestion:g}")
        axes.axvline(params.learning_rate, color=ORANGE, linestyle="--", label=f"set: {params.learning_rate:g}")
        axes.plot(found.rates, found.losses, color=BLUE, linewidth=1.6, label="training loss, smoothed")
        axes.set(title="Learning rates tried", xlabel="learning rate", ylabel="loss", xscale="log")
        axes.set_ylim(0, 1.3 * max([*found.losses[:1], 0.1]))
        axes.set_xlim(LOWEST, HIGHEST)
        axes.xaxis.set_major_formatter(lambda rate, _: f"{rate:g}")
        axes.grid(axis="y", color="#EEEEEE")
        axes.legend()
