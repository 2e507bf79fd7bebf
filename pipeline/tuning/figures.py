"""The figures of a study: blue is completed or the best, orange is pruned.

optuna.visualization.matplotlib draws the same three. It leaves pruned trials out, lets one bad trial squeeze the others
into a strip, cuts long names of settings off, and changes pyplot's global style.
"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.plotting import BLUE, INK, ORANGE, PALE, canvas, short
from pipeline.tuning.plan import Choices, Range, Space
from pipeline.tuning.study import Trial
from pipeline.tuning.summary import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
MAX_DISTANCE = 4.0  # in medians of the distance from the best; a value farther off is a triangle at the edge
COMPLETED: Any = {"color": BLUE, "marker": "o", "linestyle": "", "markersize": 5, "label": "completed"}
PRUNED: Any = {"color": ORANGE, "marker": "x", "linestyle": "", "markersize": 6, "label": "pruned"}


class Scale:
    """The axis of the values: wide enough for the good trials, with the others at its edge."""

    def __init__(self, trials: Sequence[Trial], objective: str) -> None:
        self._percent = objective == "accuracy"
        sign = 1 if self._percent else -1
        values = sorted(sign * t.value for t in trials if t.state == "completed" and t.value is not None)
        best = values[-1]
        reach = max(MAX_DISTANCE * (best - statistics.median(values)), 0.02 * abs(best))
        self.edge = sign * max(best - reach, min([sign * v for t in trials if (v := t.value) is not None]))
        self.label = f"validation {objective}"

    def _worse(self, value: float) -> bool:
        return value < self.edge if self._percent else value > self.edge

    def plot(self, axes: "Axes", places: Sequence[Any], values: Sequence[float], style: Mapping[str, Any]) -> None:
        near = [(x, y) for x, y in zip(places, values, strict=True) if not self._worse(y)]
        far = [x for x, y in zip(places, values, strict=True) if self._worse(y)]
        axes.plot([x for x, _ in near], [y for _, y in near], **style)
        axes.plot(far, [self.edge] * len(far), **{**style, "marker": "v" if self._percent else "^", "label": None})

    def dress(self, axes: "Axes") -> None:
        from matplotlib.ticker import PercentFormatter

        if self._percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(axis="y", color="#EEEEEE")
        axes.set_axisbelow(True)


def _with_state(trials: Sequence[Trial], state: str) -> list[Trial]:
    return [trial for trial in trials if trial.state == state and trial.value is not None]


def history(trials: Sequence[Trial], objective: str, path: Path) -> None:
    """The value of each trial, in the order in which they began, and the best so far."""
    from matplotlib.ticker import MaxNLocator

    scale, better = Scale(trials, objective), max if objective == "accuracy" else min
    completed = _with_state(trials, "completed")
    best = [better(t.value for t in completed[: i + 1] if t.value is not None) for i in range(len(completed))]
    with canvas(path, 9, 3.6) as figure:
        axes = figure.add_subplot()
        axes.step([t.number for t in completed], best, where="post", color=INK, linewidth=1.2, label="best so far")
        for state, style in (("completed", COMPLETED), ("pruned", PRUNED)):
            if selected := _with_state(trials, state):
                scale.plot(axes, [t.number for t in selected], [t.value or 0.0 for t in selected], style)
        axes.set(xlabel="trial", ylabel=scale.label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        scale.dress(axes)
        figure.legend(loc="outside upper right", ncols=3)


def importances(shares: Mapping[str, float], path: Path) -> None:
    """A bar for each searched setting: its share in the variation of the values."""
    from matplotlib.ticker import PercentFormatter

    names = list(shares)
    with canvas(path, 7, 0.8 + 0.36 * len(names)) as figure:
        axes = figure.add_subplot()
        bars = axes.barh(names, list(shares.values()), color=BLUE, height=0.6)
        axes.bar_label(bars, [f"{100 * share:.0f} %" for share in shares.values()], padding=4)
        axes.invert_yaxis()
        axes.set_xlim(0, max(1.15 * max(shares.values()), 0.05))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.tick_params(axis="y", length=0)


def slices(trials: Sequence[Trial], best: Trial, space: Space, objective: str, path: Path) -> None:
    """The objective against each searched setting; a ring marks the best trial."""
    scale, rows = Scale(trials, objective), -(-len(space) // COLUMNS)
    with canvas(path, 3.2 * min(len(space), COLUMNS), 2.9 * rows) as figure:
        grid = figure.subplots(rows, min(len(space), COLUMNS), sharey=True, squeeze=False).flat
        for (name, span), axes in zip(space.items(), grid, strict=False):
            _slice(axes, name, span, scale, trials)
            ring: Any = {"markersize": 12, "markerfacecolor": "none", "markeredgecolor": INK}
            axes.plot([_place(span, best.chosen[name])], [best.value], marker="o", linestyle="", **ring)
            scale.dress(axes)
        for axes in grid:  # left over in the last row
            axes.axis("off")
        figure.supylabel(scale.label, fontsize=10)


def _slice(axes: "Axes", name: str, span: Range | Choices, scale: Scale, trials: Sequence[Trial]) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for state, style in (("completed", COMPLETED), ("pruned", PRUNED)):
        selected = _with_state(trials, state)
        scale.plot(axes, [_place(span, t.chosen[name]) for t in selected], [t.value or 0.0 for t in selected], style)
    axes.set_title(name, fontsize=10)
    if isinstance(span, Choices):
        labels = [short(plain(value), 12) for value in span.values]
        rotation: Any = {"rotation": 30, "ha": "right"} if sum(map(len, labels)) > 16 else {}
        axes.set_xticks(range(len(labels)), labels, **rotation)
        axes.set_xlim(-0.6, len(labels) - 0.4)
    elif span.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))  # powers of 10 are formulas, off here
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.spines["left"].set_color(PALE)


def _place(span: Range | Choices, value: Any) -> Any:
    return span.values.index(value) if isinstance(span, Choices) else value
