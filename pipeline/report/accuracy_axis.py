"""The drawing at the head of a report: an accuracy, its confidence interval and the gate on one axis."""

import math
from dataclasses import dataclass

from components.artifact_files import Metrics
from components.formatting import bound, percent, points

WIDTH = 400.0  # of the drawing, in its own units
EDGE = 12.0  # space left and right of the axis


@dataclass(frozen=True)
class Tick:
    x: float
    text: str


@dataclass(frozen=True)
class AccuracyAxis:
    """Where to draw what, in units of the drawing; *description* is its alternative text."""

    low: float
    high: float
    accuracy: float
    gate: float | None
    gate_text: str
    description: str
    ticks: list[Tick]
    width: float = WIDTH


def accuracy_axis(metrics: Metrics, gate: float | None) -> AccuracyAxis:
    """An axis that is just long enough for the accuracy, its interval and the gate."""
    low, high, accuracy = metrics["wilson_low"], metrics["wilson_high"], metrics["accuracy"]
    ends = [low, high] + ([gate] if gate is not None else [])
    margin = max(0.12 * (max(ends) - min(ends)), 0.0005)
    left, right = max(0.0, min(ends) - margin), min(1.0, max(ends) + margin)

    def place(share: float) -> float:
        return round(EDGE + (WIDTH - 2 * EDGE) * (share - left) / (right - left), 1)

    against = "" if gate is None else f", against a gate of {bound(gate)}"
    return AccuracyAxis(
        low=place(low),
        high=place(high),
        accuracy=place(accuracy),
        gate=None if gate is None else place(gate),
        gate_text="" if gate is None else f"gate {bound(gate)}",
        description=f"Accuracy {percent(accuracy)}, 95 % interval {points(low)} to {percent(high)}{against}",
        ticks=[Tick(place(tick), f"{100 * tick:.6g}") for tick in ticks(left, right)],
    )


def ticks(left: float, right: float) -> list[float]:
    """At most six round numbers from *left* to *right*."""
    step = _step(right - left)
    first, last = math.ceil(left / step - 1e-9), math.floor(right / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _step(span: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that divides *span* into at most five parts."""
    power = math.pow(10, math.floor(math.log10(span / 5)))
    return power * next(factor for factor in (1, 2, 5, 10) if power * factor * 5 >= span * 0.999)
