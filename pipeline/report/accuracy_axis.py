"""The small drawing at the head of a report: an accuracy, its interval and the gate on one axis."""

import math
from typing import Any

from components.formatting import percent, points

WIDTH = 400.0  # of the drawing, in its own units
EDGE = 12.0  # room left and right of the axis


def gauge(metrics: dict[str, Any], gate: float | None) -> dict[str, Any]:
    """Where to draw the accuracy, its interval and the gate on an axis that is just long enough to hold them."""
    low, high, at = (float(metrics[name]) for name in ("wilson_low", "wilson_high", "accuracy"))
    ends = [low, high] + ([gate] if gate is not None else [])
    margin = max(0.12 * (max(ends) - min(ends)), 0.0005)
    left, right = max(0.0, min(ends) - margin), min(1.0, max(ends) + margin)
    span = right - left

    def place(share: float) -> float:
        return round(EDGE + (WIDTH - 2 * EDGE) * (share - left) / span, 1)

    step = _step(span)
    first = math.ceil(left / step - 1e-9)
    ticks = [i * step for i in range(first, math.floor(right / step + 1e-9) + 1)]
    return {
        "width": WIDTH,
        "low": place(low),
        "high": place(high),
        "at": place(at),
        "gate": None if gate is None else place(gate),
        "gate_text": None if gate is None else f"gate {100 * gate:.6g} %",
        "says": f"Accuracy {percent(at)}, 95 % interval {points(low)} to {percent(high)}"
        + ("" if gate is None else f", against a gate of {100 * gate:.6g} %"),
        "ticks": [{"x": place(tick), "text": f"{100 * tick:.6g}"} for tick in ticks],
    }


def _step(span: float) -> float:
    """The least of 1, 2, 5 times a power of ten that cuts *span* into at most five parts."""
    power = math.pow(10, math.floor(math.log10(span / 5)))
    return power * next(factor for factor in (1, 2, 5, 10) if power * factor * 5 >= span * 0.999)
