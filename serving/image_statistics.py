"""Six figures of an image by which drift is found later, so that the request log needs no pictures."""

import numpy as np
from numpy.typing import NDArray

INK = 64  # brighter pixels are ink: a quarter of the range


def statistics(image: NDArray[np.uint8]) -> dict[str, float]:
    """Mean, standard deviation, 99th percentile, mean gradient, share of ink, and slant of the ink, of (H, W, C)."""
    grey = image.mean(axis=2, dtype=np.float32)
    gradient = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
    figures = {
        "mean": grey.mean(),
        "std": grey.std(),
        "p99": np.sort(grey, axis=None)[int(0.99 * (grey.size - 1))],
        "gradient": gradient,
        "ink": (grey > INK).mean(),
        "slant": _slant(grey),
    }
    return {name: round(float(figure), 4) for name, figure in figures.items()}


def _slant(grey: NDArray[np.float32]) -> float:
    """Columns by which the brightness moves to the right with each row downwards; 0 where nothing is bright."""
    total = float(grey.sum())
    if not total:
        return 0.0
    rows, columns = np.arange(grey.shape[0]), np.arange(grey.shape[1])
    by_row, by_column = grey.sum(axis=1) / total, grey.sum(axis=0) / total
    row, column = rows @ by_row, columns @ by_column
    variance = float(((rows - row) ** 2) @ by_row)
    covariance = float((rows - row) @ (grey / total) @ (columns - column))
    return covariance / variance if variance else 0.0
