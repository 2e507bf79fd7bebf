"""Suspected label errors, by confident learning, among images that the network was not trained on.

C. Northcutt, L. Jiang, I. Chuang, Confident learning: estimating uncertainty in dataset labels, JAIR 70 (2021),
https://arxiv.org/abs/1911.00068. The held-out images are the test split and the validation split; the latter chose the
best epoch and nothing else. A suspect is for a user to look at: the model may be what is wrong.
"""

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import Suspect, Suspects

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float32]


def thresholds(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """Mean probability of class j over the images labelled j: float64 (classes,); inf where there are none."""
    classes = probabilities.shape[1]
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=of_label, minlength=classes)
    return np.where(counts, sums / np.maximum(counts, 1), np.inf)


def suspect(labels: Labels, probabilities: Probabilities, bounds: NDArray[np.float64]) -> tuple[Labels, Labels]:
    """The images off the diagonal of the confident joint, the most suspect first, and the class suggested for each.

    An image counts as the most probable of the classes whose threshold its probability reaches; if that is not its
    label, it is a suspect. Suspects are ranked by normalised margin: the probability of the label minus that of the
    suggested class, the smallest first.
    """
    confident = np.where(probabilities >= bounds, probabilities, -1.0)
    suggested = confident.argmax(axis=1)
    suspects = np.flatnonzero((confident.max(axis=1) >= 0) & (suggested != labels))
    margin = probabilities[suspects, labels[suspects]] - probabilities[suspects, suggested[suspects]]
    suspects = suspects[np.argsort(margin, kind="stable")]
    return suspects, suggested[suspects]


def find(held_out: dict[str, tuple[Labels, Probabilities]]) -> Suspects:
    """The content of suspects.json, from labels (N,) and probabilities (N, classes) of each held-out split.

    The suspects of all splits are listed together, the most suspect first.
    """
    names = list(held_out)
    labels = np.concatenate([labels for labels, _ in held_out.values()])
    probabilities = np.concatenate([probabilities for _, probabilities in held_out.values()])
    starts = np.cumsum([0, *(len(labels) for labels, _ in held_out.values())])
    images, suggested = suspect(labels, probabilities, thresholds(labels, probabilities))
    splits = np.searchsorted(starts, images, side="right") - 1
    counts = np.bincount(splits, minlength=len(names)).tolist()
    listed = [
        _suspect(names[split], int(image - starts[split]), int(labels[image]), int(other), probabilities[image])
        for image, other, split in zip(images, suggested, splits, strict=True)
    ]
    sizes = np.diff(starts).tolist()
    return {
        "splits": {name: {"n": n, "suspects": count} for name, n, count in zip(names, sizes, counts, strict=True)},
        "suspects": listed,
    }


def _suspect(split: str, index: int, label: int, suggested: int, probabilities: Probabilities) -> Suspect:
    given, probability = float(probabilities[label]), float(probabilities[suggested])
    return {
        "split": split,
        "index": index,
        "truth": label,
        "predicted": suggested,
        "given": given,
        "probability": probability,
        "margin": given - probability,
    }
