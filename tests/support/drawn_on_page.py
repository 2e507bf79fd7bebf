"""Strokes on the canvas of the server's page, by mouse, finger and keyboard, and the answer that the page shows."""

from collections.abc import Callable, Iterable

import numpy as np

from tests.support.chromium import Page
from tests.support.handwriting import SHEET, Points

CANVAS = "(({x, y, width, height}) => [x, y, width, height])(document.getElementById('paper').getBoundingClientRect())"
STEP = 10  # pixels of the canvas that an arrow key moves the pen
PRESSED, MOVED, RELEASED = 0, 1, 2

Act = Callable[[int, float, float], None]


def with_mouse(page: Page, strokes: Iterable[Points]) -> None:
    """Draw *strokes*, whose points are 0..1 of the canvas."""
    kinds = ("mousePressed", "mouseMoved", "mouseReleased")
    _draw(page, strokes, lambda what, x, y: page.mouse(kinds[what], x, y))


def with_finger(page: Page, strokes: Iterable[Points]) -> None:
    """The same on a touch screen, which the page has to have from its start."""
    kinds = ("touchStart", "touchMove", "touchEnd")
    _draw(page, strokes, lambda what, x, y: page.touch(kinds[what], x, y))


def _draw(page: Page, strokes: Iterable[Points], act: Act) -> None:
    left, top, width, height = page.run(CANVAS)
    for stroke in strokes:
        points = (stroke * (width, height) + (left, top)).tolist()
        act(PRESSED, *points[0])
        for x, y in points[1:]:
            act(MOVED, x, y)
        act(RELEASED, *points[-1])


def with_keyboard(page: Page, strokes: list[list[tuple[int, int]]]) -> None:
    """Draw *strokes* through their corners, in pixels of the canvas, by arrow keys from its middle."""
    page.run("document.getElementById('paper').focus()")
    place = (SHEET // 2, SHEET // 2)
    for stroke in strokes:
        for number, corner in enumerate(stroke):
            _walk(page, place, corner)
            place = corner
            if number in (0, len(stroke) - 1):
                page.press(" ")  # puts the pen down, and lifts it


def _walk(page: Page, start: tuple[int, int], end: tuple[int, int]) -> None:
    across, down = ((b - a) // STEP for a, b in zip(start, end, strict=True))
    steps = [(k / max(abs(across), 1), "ArrowRight" if across > 0 else "ArrowLeft") for k in range(abs(across))]
    steps += [(k / max(abs(down), 1), "ArrowDown" if down > 0 else "ArrowUp") for k in range(abs(down))]
    for _, key in sorted(steps):
        page.press(key)


def placed(strokes: Iterable[Points], size: float = 0.7, left: float = 0.15, top: float = 0.15) -> list[Points]:
    """*strokes* of a unit square in a part of the canvas, every fourth point and the last."""
    thinned = [stroke[np.unique([*range(0, len(stroke), 4), len(stroke) - 1])] for stroke in strokes]
    return [stroke * size + (left, top) for stroke in thinned]


def answered(page: Page) -> str:
    """The class in the answer, once the picture that the model saw and what it hangs on are there as well."""
    page.wait("!document.getElementById('details').hidden && !document.getElementById('reason').hidden")
    text = str(page.run("document.getElementById('say').textContent"))
    assert text.endswith(" %"), text
    return text.partition(",")[0]
