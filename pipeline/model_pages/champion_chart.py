"""The drawing of a model's history: the accuracy of each version with its interval, and which one was champion when."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from components.formatting import percent, points
from pipeline.model_history import BECAME_CHAMPION, Event
from pipeline.report.accuracy_axis import Tick, ticks

MOST = 60  # events that are drawn, the newest
WIDTH, HEIGHT = 960.0, 300.0  # of the drawing, in its own units
LEFT, RIGHT, TOP, BOTTOM = 60.0, 16.0, 14.0, 34.0  # space around the axes
DATE_WIDTH = 108.0  # of a date under the axis
QUESTIONS = {"waiting", "approved"}  # come before what became of the version
FAR_BELOW = 2.0  # heights of the champions' range below it; what is worse is drawn at the lower edge

Tone = Literal["champion", "kept", "refused"]


@dataclass(frozen=True)
class Mark:
    """An event at (x, y) with its interval from *low* up to *high*; *below* says that its accuracy is off the axis."""

    x: float
    y: float
    low: float
    high: float
    tone: Tone
    version: str
    text: str
    below: bool


@dataclass(frozen=True)
class ChampionChart:
    """Where to draw what, in units of the drawing; *line* is the accuracy of the champion, points of a polyline."""

    marks: list[Mark]
    line: str
    ticks: list[Tick]  # their x is a height
    dates: list[Tick]
    description: str
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    bottom: float = HEIGHT - BOTTOM


def champion_chart(events: Sequence[Event]) -> ChampionChart | None:
    """The chart of one model's *events*, the newest first; None where no accuracy is known."""
    outcomes = (event for event in reversed(events) if event.kind not in QUESTIONS)
    drawn = [event for event in outcomes if event.figures.accuracy is not None][-MOST:]
    if not drawn:
        return None
    low, high = _span(drawn)
    step = (WIDTH - LEFT - RIGHT) / len(drawn)

    def height(accuracy: float) -> float:
        share = (min(max(accuracy, low), high) - low) / (high - low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP), 1)

    marks = [_mark(event, round(LEFT + step * (number + 0.5), 1), height, low) for number, event in enumerate(drawn)]
    return ChampionChart(
        marks=marks,
        line=" ".join(_line(marks)),
        ticks=[Tick(height(tick), f"{100 * tick:.6g}") for tick in ticks(low, high)],
        dates=list(_dates(drawn, [mark.x for mark in marks])),
        description=_description(drawn),
    )


def _span(events: Sequence[Event]) -> tuple[float, float]:
    """The ends of the axis: the champions with their intervals, and the others unless they are far below."""
    champions = [event for event in events if event.kind in BECAME_CHAMPION] or events
    lows, highs = zip(*map(_interval, champions), strict=True)
    low, high = min(lows), max([*highs, *(_interval(event)[1] for event in events)])
    lowest = low - FAR_BELOW * (high - low)
    low = min([low, *(start for start, _ in map(_interval, events) if start >= lowest)])
    margin = max(0.06 * (high - low), 0.0005)
    return max(0.0, low - margin), min(1.0, high + margin)


def _interval(event: Event) -> tuple[float, float]:
    figures = event.figures
    assert figures.accuracy is not None
    low = figures.accuracy if figures.wilson_low is None else figures.wilson_low
    return low, figures.accuracy if figures.wilson_high is None else figures.wilson_high


def _mark(event: Event, x: float, height: Callable[[float], float], lowest: float) -> Mark:
    accuracy, (low, high) = event.figures.accuracy, _interval(event)
    assert accuracy is not None
    version = f" version {event.version}" if event.version else ""
    text = f"{event.time[:10]}{version} {event.kind}: {percent(accuracy)} ({points(low)} to {points(high)})"
    heights = height(accuracy), height(low), height(high)
    return Mark(x, *heights, _tone(event), event.version, text, below=accuracy < lowest)


def _tone(event: Event) -> Tone:
    if event.kind in BECAME_CHAMPION:
        return "champion"
    return "refused" if event.kind == "refused" else "kept"


def _line(marks: Sequence[Mark]) -> Iterator[str]:
    """The corners of the champion's line: level from one champion to the next, and to the right end."""
    y = None
    for mark in marks:
        if mark.tone == "champion":
            if y is not None:
                yield f"{mark.x},{y}"
            y = mark.y
            yield f"{mark.x},{y}"
    if y is not None:
        yield f"{WIDTH - RIGHT},{y}"


def _dates(events: Sequence[Event], places: Sequence[float]) -> Iterator[Tick]:
    """The date of an event under the axis, where it is another than the one before and there is room."""
    free, shown = 0.0, ""
    for event, x in zip(events, places, strict=True):
        date, start = event.time[:10], min(max(x - DATE_WIDTH / 2, LEFT), WIDTH - DATE_WIDTH)
        if date != shown and start >= free:
            free, shown = start + DATE_WIDTH, date
            yield Tick(start + DATE_WIDTH / 2, date)


def _description(events: Sequence[Event]) -> str:
    """The alternative text."""
    champion = next((event for event in reversed(events) if event.kind in BECAME_CHAMPION), None)
    now = f"; the champion is version {champion.version}, {percent(champion.figures.accuracy or 0)}" if champion else ""
    return f"Accuracy of {len(events)} models over time, with 95 % intervals{now}"
