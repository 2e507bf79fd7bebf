"""Learning-rate range test: a short training whose rate grows at each step until the loss explodes.

L. N. Smith, Cyclical learning rates for training neural networks, section 3.3: arXiv:1506.01186; smoothing, stopping
and the choice of a tenth of the best rate follow fastai.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

from components.data.input_pipeline import InputPipeline
from components.data.splits import Split
from components.errors import ModelRejected
from components.progress import progress
from components.settings.sections import Train
from components.system.tensorflow import KerasModel, Tensor, use_threads
from components.train.network import untrained_network
from components.train.resolve import resolved
from components.train.train_state import create_train_state
from components.train.weights import initialize

LOWEST, HIGHEST = 1e-6, 10.0
STEPS = 300
SMOOTHING = 0.95  # weight of the old mean in the new one
EXPLODED = 4.0  # the sweep ends where the loss is this many times the minimum so far
SAFE = 0.1  # of the rate with the minimal loss, which is about to explode there


@dataclass(frozen=True)
class Sweep:
    """The rates tried, the smoothed loss after each, and the suggested rate; None where no rate lowered the loss."""

    rates: list[float]
    losses: list[float]
    suggestion: float | None


def sweep(normalize: Path, params: Train, steps: int = STEPS, weights: Path | None = None) -> Sweep:
    """Train on the images of *normalize* with a rate that grows from LOWEST to HIGHEST in *steps* equal factors.

    The network starts from *weights*, where params.weights names some.
    """
    params = resolved(params, normalize)
    use_threads(params.threads)
    import keras

    keras.utils.set_random_seed(params.seed)
    data = json.loads((normalize / "data.json").read_bytes())
    plain = replace(params, schedule="constant", warmup=0.0, ema=0.0, learning_rate=LOWEST)
    split = Split(normalize / "train")
    plain = replace(plain, epochs=math.ceil(steps / math.ceil(len(split) / plain.batch_size)))
    pipeline = InputPipeline(split, len(data["classes"]), plain)
    network = untrained_network(data, plain, plain.precision)
    initialize(network, weights, plain, data["classes"])
    model = create_train_state(network, plain, pipeline.steps).model
    rates = [LOWEST * (HIGHEST / LOWEST) ** (i / (steps - 1)) for i in range(steps)]
    losses: list[float] = []
    with progress("learning rates", steps) as advance:
        for rate, batch in zip(rates, islice(pipeline.training(0), steps), strict=True):
            model.optimizer.learning_rate = rate
            losses.append(_train_step(model, batch))
            smoothed = smooth(losses)
            advance(len(losses), f"rate {rate:.1e}  loss {smoothed[-1]:.4f}")
            if not smoothed[-1] <= EXPLODED * min(smoothed):  # or NaN
                break
    return suggest(rates[: len(losses)], losses)


def _train_step(model: KerasModel, batch: tuple[Tensor, ...]) -> float:
    """Take one step of the optimizer on *batch*, weighted as in training; returns the loss before it."""
    model.reset_metrics()
    return float(model.train_on_batch(*batch, return_dict=True)["loss"])


def suggest(rates: list[float], losses: list[float]) -> Sweep:
    """A tenth of the rate with the minimal smoothed loss, unless that was the very first."""
    smoothed = [loss for loss in smooth(losses) if math.isfinite(loss)]
    if not smoothed or (best := smoothed.index(min(smoothed))) == 0:
        return Sweep(rates[: len(smoothed)], smoothed, None)
    return Sweep(rates[: len(smoothed)], smoothed, float(f"{SAFE * rates[best]:.1e}"))


def smooth(losses: list[float]) -> list[float]:
    """The moving average after each loss, corrected for its start at 0."""
    mean, smoothed = 0.0, []
    for number, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed.append(mean / (1 - SMOOTHING**number))
    return smoothed


def write(sweep: Sweep, params: Train, folder: Path) -> Path:
    """Write learning-rates.json and learning-rates.png to *folder*; returns the path of the figure.

    Raises ModelRejected where no rate lowered the loss, after both are written.
    """
    facts = {"optimizer": params.optimizer, "model": params.model, "batch_size": params.batch_size, **asdict(sweep)}
    (folder / "learning-rates.json").write_text(json.dumps(facts, indent=2) + "\n")
    figure_path = folder / "learning-rates.png"
    _draw(sweep, params, figure_path)
    if sweep.suggestion is None:
        raise ModelRejected(
            f"no learning rate from {LOWEST:g} to {HIGHEST:g} lowered the loss of {params.model}; see {figure_path}, "
            "and check the images (python -m pipeline report) or choose another network"
        )
    return figure_path


def _draw(sweep: Sweep, params: Train, path: Path) -> None:
    """The smoothed loss over the rate, on a logarithmic axis, with the suggested rate and the one that is set."""
    from components.plotting import BLUE, ORANGE, PALE, canvas

    with canvas(path, 6.4, 3.6) as figure:
        axes = figure.add_subplot()
        if sweep.suggestion:
            axes.axvline(sweep.suggestion, color=PALE, linewidth=6, zorder=0, label=f"suggested: {sweep.suggestion:g}")
        axes.axvline(params.learning_rate, color=ORANGE, linestyle="--", label=f"set: {params.learning_rate:g}")
        axes.plot(sweep.rates, sweep.losses, color=BLUE, linewidth=1.6, label="training loss, smoothed")
        axes.set(title="Learning rates tried", xlabel="learning rate", ylabel="loss", xscale="log")
        axes.set_ylim(0, 1.3 * max([*sweep.losses[:1], 0.1]))
        axes.set_xlim(LOWEST, HIGHEST)
        axes.xaxis.set_major_formatter(lambda rate, _: f"{rate:g}")
        axes.grid(axis="y", color="#EEEEEE")
        axes.legend()
