"""Everything that the predictions for the test split say about a model, as plain numbers for metrics.json."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from components import metrics

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def measure(truth: Labels, probabilities: Probabilities, classes: list[str], mistakes: int) -> dict[str, Any]:
    """Measures of *probabilities* (N, classes) against *truth* (N,), and the *mistakes* most confident mistakes."""
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = predicted == truth
    n, correct = len(truth), int(right.sum())
    matrix = metrics.confusion(truth, predicted, len(classes))
    low, high = metrics.wilson(correct, n)
    error, bins = metrics.calibration(confidence, right)
    support, hits = matrix.sum(axis=1), matrix.diagonal()
    columns = zip(classes, *metrics.scores(matrix), support, strict=True)
    intervals = [metrics.wilson(int(k), int(s)) if s else (0.0, 1.0) for k, s in zip(hits, support, strict=True)]
    return {
        "n": n,
        "correct": correct,
        "accuracy": correct / n,
        "wilson_low": low,
        "wilson_high": high,
        "loss": metrics.log_loss(truth, probabilities),
        "macro_f1": metrics.macro_f1(matrix),
        "expected_calibration_error": error,
        "calibration": bins,
        "classes": classes,
        "per_class": [
            {"name": name, "precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
            | {"wilson_low": below, "wilson_high": above}
            for (name, p, r, f, s), (below, above) in zip(columns, intervals, strict=True)
        ],
        "confidence": _confidence(confidence, right),
        "confusion": matrix.tolist(),
        "mistakes": _worst(truth, predicted, confidence, mistakes),
    }


def _confidence(confidence: Floats, right: Flags) -> dict[str, float | None]:
    """How sure the model is, in the median, where it is right and where it is wrong, and how well that tells them."""
    right_ones, wrong_ones = (
        float(np.median(part)) if len(part) else None for part in (confidence[right], confidence[~right])
    )
    return {"separation": metrics.separation(confidence, right), "right": right_ones, "wrong": wrong_ones}


def _worst(truth: Labels, predicted: Labels, confidence: Floats, most: int) -> list[dict[str, Any]]:
    """The *most* confident mistakes, the surest first; of equal ones the first in the split."""
    wrong = np.flatnonzero(predicted != truth)
    return [
        {"index": int(i), "truth": int(truth[i]), "predicted": int(predicted[i]), "probability": float(confidence[i])}
        for i in wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    ]
