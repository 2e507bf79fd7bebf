"""Accuracy on slices of the test split: thin and thick strokes, slanted digits, dark images.

A good mean can hide a slice on which the model fails. The bounds of the slices are quantiles of the TRAINING split, so
that a slice means the same for every model, and a test split that has drifted shows it by its counts.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import Slice, Slices
from components.data.splits import Split, chunks
from components.evaluate import image_properties
from components.proportions import wilson

PARTS = 5
DIGITS = 3  # of the bounds and of the values compared with them
MOST_SAMPLED = 10_000  # training images, evenly spaced, that set the bounds
CHUNK = 512
MIN_DRAWN = 0.9  # share of line drawings among the training images from which strokes are measured

Values = NDArray[np.float64]
Property = Callable[[image_properties.Pixels], Values]

# name -> unit, names of the slices from the lowest to the highest, how to measure it
OF_STROKES: dict[str, tuple[str, tuple[str, ...], Property]] = {
    "stroke thickness": ("pixels", ("thinnest", "thin", "medium", "thick", "thickest"), image_properties.thickness),
    "slant": ("degrees", ("most to the left", "left", "middle", "right", "most to the right"), image_properties.slant),
}
OF_ALL: dict[str, tuple[str, tuple[str, ...], Property]] = {
    "brightness": ("0 to 255", ("darkest", "dark", "medium", "bright", "brightest"), image_properties.brightness),
}


def measure(train: Split, test: Split, right: NDArray[np.bool_]) -> Slices:
    """Accuracy by property of the test images, of which *right*, bool (N,), were classified correctly.

    Slices without test images are left out; strokes are measured where the images are line drawings.
    """
    sample = np.unique(np.linspace(0, len(train) - 1, min(len(train), MOST_SAMPLED)).astype(np.int64))
    drawn = _values(train, sample, lambda images: image_properties.is_line_drawing(images).astype(np.float64)).mean()
    properties = OF_STROKES | OF_ALL if drawn >= MIN_DRAWN else OF_ALL
    everything = np.arange(len(test))
    parts: list[Slice] = []
    for name, (unit, names, of) in properties.items():
        ends = np.quantile(_values(train, sample, of), np.arange(1, PARTS) / PARTS).round(DIGITS)
        members = np.searchsorted(ends, _values(test, everything, of).round(DIGITS), side="left")
        bounds = [None, *ends.tolist(), None]
        for number, part in enumerate(names):
            if (here := right[members == number]).size:
                parts.append(_slice(name, unit, part, bounds[number : number + 2], here))
    return {"drawn": float(drawn), "parts": parts}


def _values(split: Split, indices: NDArray[np.int64], of: Property) -> Values:
    parts = chunks(indices, split.shape, CHUNK)
    return np.concatenate([of(split.take(part).astype(np.float32) / np.float32(255)) for part in parts])


def _slice(name: str, unit: str, part: str, bounds: list[float | None], right: NDArray[np.bool_]) -> Slice:
    n, correct = len(right), int(right.sum())
    wilson_low, wilson_high = wilson(correct, n)
    return {
        "property": name,
        "unit": unit,
        "part": part,
        "low": bounds[0],
        "high": bounds[1],
        "n": n,
        "correct": correct,
        "accuracy": correct / n,
        "wilson_low": wilson_low,
        "wilson_high": wilson_high,
    }
