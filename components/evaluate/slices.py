"""Accuracy on parts of the test split: the thin and the thick, the slanted, the dark.

A good mean can hide a part on which the model fails. The bounds of the parts are quantiles of the TRAINING split, so
that a part means the same for every model, and a test split that has drifted shows it by its counts.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.chunks import portions
from components.data.splits import Split
from components.evaluate import image_properties
from components.metrics import wilson

PARTS = 5
DIGITS = 3  # of the bounds and of what is held against them
MOST_LOOKED_AT = 10_000  # training images, evenly spaced, that set the bounds
MOST_TOGETHER = 512
LEAST_DRAWN = 0.9  # share of the training images that must be drawings, else strokes are not measured

Values = NDArray[np.float64]
Property = Callable[[image_properties.Pixels], Values]

# name -> unit, what to call the parts from the lowest to the highest, how to measure it
OF_STROKES: dict[str, tuple[str, tuple[str, ...], Property]] = {
    "stroke thickness": ("pixels", ("thinnest", "thin", "medium", "thick", "thickest"), image_properties.thickness),
    "slant": ("degrees", ("most to the left", "left", "middle", "right", "most to the right"), image_properties.slant),
}
OF_ALL: dict[str, tuple[str, tuple[str, ...], Property]] = {
    "brightness": ("0 to 255", ("darkest", "dark", "medium", "bright", "brightest"), image_properties.brightness),
}


def measure(train: Split, test: Split, right: NDArray[np.bool_]) -> dict[str, Any]:
    """Accuracy by property of the test images, of which *right*, bool (N,), were classified correctly.

    {"drawn": share of the training images that are drawings, "parts": [{"property", "unit", "part", "low", "high", "n",
    "correct", "accuracy", "wilson_low", "wilson_high"}]}; a part holds low < value <= high, the outer ones have no end
    (null). Parts without test images are left out; strokes are measured where the images are drawings.
    """
    sample = np.unique(np.linspace(0, len(train) - 1, min(len(train), MOST_LOOKED_AT)).astype(np.int64))
    drawn = _over(train, sample, lambda images: image_properties.drawn(images).astype(np.float64)).mean()
    looked_at = OF_STROKES | OF_ALL if drawn >= LEAST_DRAWN else OF_ALL
    everything = np.arange(len(test))
    parts: list[dict[str, Any]] = []
    for name, (unit, names, of) in looked_at.items():
        ends = np.quantile(_over(train, sample, of), np.arange(1, PARTS) / PARTS).round(DIGITS)
        for part in _parts(_over(test, everything, of).round(DIGITS), ends, right, names):
            parts.append({"property": name, "unit": unit, **part})
    return {"drawn": float(drawn), "parts": parts}


def _over(split: Split, indices: NDArray[np.int64], of: Property) -> Values:
    parts = portions(indices, split.shape, MOST_TOGETHER)
    return np.concatenate([of(split.take(part).astype(np.float32) / np.float32(255)) for part in parts])


def _parts(values: Values, ends: Values, right: NDArray[np.bool_], names: tuple[str, ...]) -> list[dict[str, Any]]:
    members = np.searchsorted(ends, values, side="left")
    bounds = [None, *ends.tolist(), None]
    found = []
    for number, name in enumerate(names):
        here = right[members == number]
        if len(here):
            n, correct = len(here), int(here.sum())
            low, high = wilson(correct, n)
            told = {"part": name, "low": bounds[number], "high": bounds[number + 1], "n": n, "correct": correct}
            found.append(told | {"accuracy": correct / n, "wilson_low": low, "wilson_high": high})
    return found
