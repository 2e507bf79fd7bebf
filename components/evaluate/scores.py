"""Everything that follows from the predictions for the test split, as plain numbers for metrics.json."""

import numpy as np
from numpy.typing import NDArray

from components import metrics
from components.artifact_files import ClassScores, Confidence, Mistake, Scores
from components.evaluate.baseline import against
from components.proportions import wilson

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def classification_scores(truth: Labels, probabilities: Probabilities, classes: list[str]) -> Scores:
    """Measures of *probabilities* (N, classes) against *truth* (N,), and every mistake, the most confident first."""
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = predicted == truth
    n, correct = len(truth), int(right.sum())
    matrix = metrics.confusion(truth, predicted, len(classes))
    low, high = wilson(correct, n)
    error, bins = metrics.calibration(confidence, right)
    baseline = against(correct, matrix.sum(axis=1).tolist())
    return {
        "n": n,
        "correct": correct,
        "accuracy": correct / n,
        "baseline": baseline.accuracy,
        "baseline_p": baseline.p,
        "wilson_low": low,
        "wilson_high": high,
        "loss": metrics.log_loss(truth, probabilities),
        "macro_f1": metrics.macro_f1(matrix),
        "expected_calibration_error": error,
        "calibration": bins,
        "classes": classes,
        "per_class": _per_class(matrix, classes),
        "confidence": _confidence(confidence, right),
        "confusion": matrix.tolist(),
        "mistakes": _mistakes(truth, predicted, confidence),
    }


def _per_class(matrix: NDArray[np.int64], classes: list[str]) -> list[ClassScores]:
    precision, recall, f1 = (column.tolist() for column in metrics.scores(matrix))
    support, hits = matrix.sum(axis=1).tolist(), matrix.diagonal().tolist()
    intervals = [wilson(k, s) if s else (0.0, 1.0) for k, s in zip(hits, support, strict=True)]
    return [
        {
            "name": name,
            "precision": precision[i],
            "recall": recall[i],
            "f1": f1[i],
            "support": support[i],
            "wilson_low": intervals[i][0],
            "wilson_high": intervals[i][1],
        }
        for i, name in enumerate(classes)
    ]


def _confidence(confidence: Floats, right: Flags) -> Confidence:
    """The median confidence of right and wrong predictions, and how well confidence separates them."""
    medians = [float(np.median(part)) if len(part) else None for part in (confidence[right], confidence[~right])]
    return {"separation": metrics.separation(confidence, right), "right": medians[0], "wrong": medians[1]}


def _mistakes(truth: Labels, predicted: Labels, confidence: Floats) -> list[Mistake]:
    """The mistakes, the most confident first; of equal ones the first in the split."""
    wrong = np.flatnonzero(predicted != truth)
    return [
        {"index": int(i), "truth": int(truth[i]), "predicted": int(predicted[i]), "probability": float(confidence[i])}
        for i in wrong[np.argsort(-confidence[wrong], kind="stable")]
    ]
