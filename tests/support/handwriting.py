"""Digits as strokes of a pen, each time a little otherwise: what a hand draws, for the browser and for measurements."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Points = NDArray[np.float64]  # (N, 2): x and y, each 0..1
Digit = tuple[Points, ...]

SHEET = 280  # pixels a side
SLANT = (-0.15, 0.25)  # of the height, to the right
WIDTH = (0.55, 0.85)  # of the height
TURN = 8.0  # degrees in both directions
TREMOR = 0.03
STEPS = 8  # points for one of a line


def _arc(x: float, y: float, across: float, down: float, start: float, end: float) -> list[tuple[float, float]]:
    """An arc around (x, y) from the angle *start* to *end*: degrees, 0 to the right, 90 downwards."""
    angles = np.radians(np.linspace(start, end, 24))
    return list(zip((x + across * np.cos(angles)).tolist(), (y + down * np.sin(angles)).tolist(), strict=True))


# the ways in which each digit is written: strokes of points
WAYS: dict[int, list[list[list[tuple[float, float]]]]] = {
    0: [[_arc(0.5, 0.5, 0.36, 0.5, -90, 270)]],
    1: [[[(0.5, 0), (0.5, 1)]], [[(0.25, 0.25), (0.55, 0), (0.55, 1)]]],
    2: [[[*_arc(0.5, 0.28, 0.36, 0.28, -160, 30), (0.1, 1), (0.9, 1)]]],
    3: [[[*_arc(0.45, 0.25, 0.35, 0.25, -150, 90), *_arc(0.45, 0.74, 0.4, 0.26, -90, 150)]]],
    4: [
        [[(0.65, 0), (0.05, 0.65), (0.95, 0.65)], [(0.68, 0.4), (0.68, 1)]],
        [[(0.2, 0), (0.12, 0.5), (0.85, 0.5)], [(0.75, 0), (0.75, 1)]],
    ],
    5: [[[(0.85, 0), (0.25, 0), (0.2, 0.45), *_arc(0.45, 0.69, 0.4, 0.31, -120, 150)]]],
    6: [
        [[(0.7, 0), (0.3, 0.35), *_arc(0.45, 0.7, 0.33, 0.3, 180, -180)]],
        [[*_arc(0.8, 0.6, 0.65, 0.6, -95, -180), *_arc(0.5, 0.7, 0.35, 0.3, 180, -180)]],
    ],
    7: [[[(0.1, 0), (0.9, 0), (0.4, 1)]], [[(0.1, 0), (0.9, 0), (0.4, 1)], [(0.35, 0.5), (0.8, 0.5)]]],
    8: [
        [
            [
                *_arc(0.5, 0.25, 0.3, 0.25, -60, -270),
                *_arc(0.5, 0.75, 0.37, 0.25, -90, 270),
                *_arc(0.5, 0.25, 0.3, 0.25, 90, -60),
            ]
        ]
    ],
    9: [
        [[*_arc(0.5, 0.3, 0.35, 0.3, 0, -360), (0.8, 0.55), (0.7, 1)]],
        [[*_arc(0.5, 0.3, 0.33, 0.3, 0, -360), (0.83, 0.6), *_arc(0.5, 0.7, 0.33, 0.3, 0, 120)]],
    ],
}


def written(digit: int, rng: np.random.Generator) -> Digit:
    """The strokes of *digit* in one of its ways, slanted, turned and not quite steady, within a square of side 1."""
    ways = WAYS[digit]
    strokes = [_finely(np.array(stroke)) for stroke in ways[rng.integers(len(ways))]]
    turn = np.radians(rng.uniform(-TURN, TURN))
    slant, width, phases = rng.uniform(*SLANT), rng.uniform(*WIDTH), rng.uniform(0, 2 * np.pi, 4)
    shape = np.array([[width, 0], [-slant * width, 1]])
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    moved = [(stroke + _tremor(stroke, phases) - 0.5) @ shape @ turned for stroke in strokes]
    everything = np.concatenate(moved)
    least, span = everything.min(axis=0), np.ptp(everything, axis=0).max()
    return tuple((stroke - least) / span for stroke in moved)


def _finely(stroke: Points) -> Points:
    steps = np.linspace(0, len(stroke) - 1, STEPS * (len(stroke) - 1) + 1)
    places = np.arange(len(stroke))
    return np.stack([np.interp(steps, places, stroke[:, axis]) for axis in (0, 1)], axis=1)


def _tremor(stroke: Points, phases: NDArray[np.float64]) -> Points:
    x, y = stroke.T
    waves = (5 * y + phases[0], 4 * x + phases[1], 5 * x + phases[2], 4 * y + phases[3])
    first, second, third, fourth = np.sin(waves)
    return TREMOR * np.stack([first + second, third + fourth], axis=1)


def sheet(strokes: Iterable[Points], size: int, pen: int, place: tuple[int, int]) -> Image.Image:
    """*strokes* as *pen* pixels wide light ink on black, *size* pixels high or wide, the top left corner at *place*."""
    paper = Image.new("L", (SHEET, SHEET))
    brush = ImageDraw.Draw(paper)
    for stroke in strokes:
        points = [tuple(point) for point in (stroke * (size - pen) + pen / 2 + place).tolist()]
        brush.line(points, fill=255, width=pen)
        for x, y in points:
            brush.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    return paper
