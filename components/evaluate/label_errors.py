"""Suspected label errors, by confident learning, on images that the network was not fitted on.

C. Northcutt, L. Jiang, I. Chuang, Confident learning: estimating uncertainty in dataset labels, JAIR 70 (2021),
https://arxiv.org/abs/1911.00068. The held-out images are the test split and the validation split; the latter chose the
best epoch and nothing else. A suspicion is for a person to look at: the model may be what is wrong.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float32]


def thresholds(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """How sure the model is of class j, on average, on the images labelled j: float64 (classes,); inf without any."""
    classes = probabilities.shape[1]
    given = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=given, minlength=classes)
    return np.where(counts, sums / np.maximum(counts, 1), np.inf)


def suspect(labels: Labels, probabilities: Probabilities, bounds: NDArray[np.float64]) -> tuple[Labels, Labels]:
    """The images off the diagonal of the confident joint, the most suspect first, and what the model would call them.

    An image is counted as the likeliest of the classes whose threshold its probability reaches; if that is not its
    label it is a suspect. They are ranked by normalised margin: the probability of the label less that of the
    suggestion, the smallest first.
    """
    confident = np.where(probabilities >= bounds, probabilities, -1.0)
    suggested = confident.argmax(axis=1)
    found = np.flatnonzero((confident.max(axis=1) >= 0) & (suggested != labels))
    margin = probabilities[found, labels[found]] - probabilities[found, suggested[found]]
    found = found[np.argsort(margin, kind="stable")]
    return found, suggested[found]


def measure(held_out: dict[str, tuple[Labels, Probabilities]], most: int) -> dict[str, Any]:
    """The content of suspects.json, from labels (N,) and probabilities (N, classes) of each held-out split.

    {"splits": {name: {"n", "suspects"}}, "suspects": [{"split", "index", "truth", "predicted", "given", "probability",
    "margin"}]}: *most* of all splits together; truth is the label as it is, given its probability.
    """
    names = list(held_out)
    labels = np.concatenate([labels for labels, _ in held_out.values()])
    probabilities = np.concatenate([probabilities for _, probabilities in held_out.values()])
    starts = np.cumsum([0, *(len(labels) for labels, _ in held_out.values())])
    found, suggested = suspect(labels, probabilities, thresholds(labels, probabilities))
    which = np.searchsorted(starts, found, side="right") - 1
    counts = np.bincount(which, minlength=len(names)).tolist()
    listed = []
    for image, other, split in zip(found[:most], suggested[:most], which[:most], strict=True):
        given, taken = float(probabilities[image, labels[image]]), float(probabilities[image, other])
        listed.append(
            {
                "split": names[split],
                "index": int(image - starts[split]),
                "truth": int(labels[image]),
                "predicted": int(other),
                "given": given,
                "probability": taken,
                "margin": given - taken,
            }
        )
    sizes = np.diff(starts).tolist()
    splits = {name: {"n": n, "suspects": count} for name, n, count in zip(names, sizes, counts, strict=True)}
    return {"splits": splits, "suspects": listed}
