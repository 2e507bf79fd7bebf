"""Measures of a classifier, and their uncertainty on a finite test split.

Arrays: `truth` and `predicted` are integer labels (N,), `probabilities` float (N, classes). Nothing here reads a file.
"""

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import CalibrationBin

TINY = 1e-7  # smallest probability in a logarithm, as in Keras (keras.config.epsilon)

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p value of McNemar's test, from the counts of images that one classifier alone gets right.

    If both are equally good, each such image is the toss of a fair coin, so p is twice a binomial tail. Integers
    throughout, rounded once at the end. Q. McNemar, Psychometrika 12 (1947) 153-157.
    """
    n = only_first + only_second
    term = tail = 1
    for k in range(1, min(only_first, only_second) + 1):
        term = term * (n - k + 1) // k
        tail += term
    return 1.0 if only_first == only_second else 2 * tail / 2**n


def discordant(truth: Integers, first: Integers, second: Integers) -> tuple[int, int]:
    """How many images only *first* gets right, and how many only *second*: the two counts of `mcnemar`."""
    right_first, right_second = first == truth, second == truth
    return int(np.sum(right_first & ~right_second)), int(np.sum(right_second & ~right_first))


def confusion(truth: Integers, predicted: Integers, classes: int) -> Integers:
    """Counts, int64 (classes, classes): row is the true class, column the predicted one."""
    cells = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def scores(matrix: Integers) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 of each class, (classes,) each; 0 where a class is never predicted or never true."""
    hits = np.diagonal(matrix).astype(np.float64)
    predicted, support = matrix.sum(axis=0), matrix.sum(axis=1)
    return (
        hits / np.maximum(predicted, 1),
        hits / np.maximum(support, 1),
        2 * hits / np.maximum(predicted + support, 1),
    )


def macro_f1(matrix: Integers) -> float:
    """Mean F1 of the classes that occur as truth or as prediction; a class that does neither is left out."""
    occurs = matrix.sum(axis=0) + matrix.sum(axis=1) > 0
    return float(scores(matrix)[2][occurs].mean())


def log_loss(truth: Integers, probabilities: NDArray[np.float32]) -> float:
    """Mean negative logarithm of the probability of the true class, in nats."""
    of_truth = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.clip(of_truth, TINY, 1.0)).mean())


def separation(confidence: Floats, right: NDArray[np.bool_]) -> float | None:
    """The probability that a right prediction is more confident than a wrong one; None without one of the two.

    The area under the ROC curve of confidence as a detector of mistakes, ties counting half: 1 where every mistake has
    low confidence, 0.5 where mistakes are as confident as right predictions, as they are where labels are wrong.
    Hendrycks & Gimpel, A baseline for detecting misclassified and out-of-distribution examples: arXiv:1610.02136
    """
    good, bad = confidence[right], np.sort(confidence[~right])
    if not (len(good) and len(bad)):
        return None
    below = np.searchsorted(bad, good, side="left") + np.searchsorted(bad, good, side="right")
    return float(below.sum() / (2 * len(good) * len(bad)))


def calibration(confidence: Floats, right: NDArray[np.bool_], bins: int = 15) -> tuple[float, list[CalibrationBin]]:
    """Expected calibration error and its bins: is 90 % confidence right nine times in ten?

    Bin m holds the confidences in ((m-1)/bins, m/bins]; the error is the mean distance between confidence and accuracy
    over the bins, weighted by their counts. An empty bin has a count of 0 and neither confidence nor accuracy.
    Guo, Pleiss, Sun, Weinberger, On calibration of modern neural networks, 2017: https://arxiv.org/abs/1706.04599
    """
    edges = np.linspace(0.0, 1.0, bins + 1)
    members = np.searchsorted(edges[1:-1], confidence, side="left")
    error = 0.0
    table: list[CalibrationBin] = []
    for m in range(bins):
        here = members == m
        entry: CalibrationBin = {"low": float(edges[m]), "high": float(edges[m + 1]), "count": int(here.sum())}
        if entry["count"]:
            entry["confidence"], entry["accuracy"] = float(confidence[here].mean()), float(right[here].mean())
            error += entry["count"] * abs(entry["confidence"] - entry["accuracy"]) / len(confidence)
        table.append(entry)
    return error, table
