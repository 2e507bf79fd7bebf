"""Suspected label errors among the images that the network was trained on, by the labels of their nearest images.

A network learns wrong labels too, so its own probabilities hardly contradict them. Images that look alike to it lie
near each other all the same: each image gets the votes of its nearest ones, without itself and its copies, in the
features of the last layer. D. Bahri, H. Jiang, M. Gupta, Deep k-NN for noisy labels, ICML 2020, arXiv:2004.12289.
"""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import Suspect, SuspectCount
from components.data.pixels import hashes
from components.data.splits import Split, chunks
from components.evaluate.features import feature_predictor
from components.models.prediction import BATCH_SIZE
from components.progress import progress, say
from components.system.tensorflow import KerasModel

SPLIT = "train"
NEIGHBOURS, FEWEST = 15, 5  # that vote: an eighth of the images of a class, within these bounds
OWN, OTHER = 0.1, 0.6  # suspected: at most this share of the votes for the label, at least this one for another class
KNOWN = 0.5  # of a class, the share of images whose votes agree with the label; below, they say nothing about the class
LEAST = -2.0  # below any cosine, and above that of images without a vote, which is -inf
BLOCK_BYTES = 32 * 2**20

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Features:
    """Images as a network sees them; *copies* is equal for equal images."""

    vectors: NDArray[np.float32]  # (n, features)
    copies: NDArray[np.uint64]  # (n,)


def find(model: KerasModel, fitted: Split, validation: Split, most: int) -> tuple[SuspectCount, list[Suspect]]:
    """How many images of the training split *fitted* were looked at, and the suspects, the most suspect first.

    *most* images of both splits, evenly drawn, vote: time grows with the square of their number.
    """
    start, images = time.perf_counter(), len(fitted) + len(validation)
    drawn = np.linspace(0, images - 1, min(images, most)).astype(np.int64)
    labels = np.concatenate([fitted.labels, validation.labels])[drawn]
    in_training = drawn < len(fitted)
    features = _features(model, fitted, validation, drawn)
    listed = [s for s in suspects(features, labels, int(model.output_shape[-1])) if in_training[s["index"]]]
    for suspect in listed:
        suspect["index"] = int(drawn[suspect["index"]])
    n = int(in_training.sum())
    say(
        f"  {n:,} of {len(fitted):,} training labels compared with those of the nearest images in "
        f"{time.perf_counter() - start:.1f} s: {len(listed):,} suspected to be wrong"
    )
    return {"n": n, "suspects": len(listed)}, listed


def suspects(features: Features, labels: Indices, classes: int) -> list[Suspect]:
    """The suspects among images with *features* and *labels*, the most suspect first; of copies, the first."""
    counts = votes(features, labels, classes, neighbours(labels))
    images, suggested = doubted(labels, counts)
    first = _first_copies(features.copies[images], labels[images])
    shares = _shares(counts)
    return [
        _suspect(image, int(labels[image]), other, shares[image])
        for image, other in zip(images[first].tolist(), suggested[first].tolist(), strict=True)
    ]


def neighbours(labels: Indices) -> int:
    """How many nearest images vote, fewer where classes are small."""
    classes = len(np.unique(labels))
    return max(FEWEST, min(NEIGHBOURS, len(labels) // (8 * classes)))


def votes(features: Features, labels: Indices, classes: int, nearest: int) -> Indices:
    """How many of the *nearest* other images of each image have each label: int64 (n, classes).

    Copies of an image do not vote on it, and have one vote on others. Of images that are equally near, all vote, so
    that their order plays no part.
    """
    n, voters = len(labels), np.flatnonzero(_first_copies(features.copies, labels))
    vectors, copies, voted = features.vectors[voters], features.copies[voters], labels[voters]
    counts = np.zeros((n, classes), np.int64)
    rows, place = max(1, BLOCK_BYTES // (4 * n)), max(0, len(voters) - nearest)
    with progress("evaluate: nearest images of training images", n) as advance:
        for start in range(0, n, rows):
            block = slice(start, start + rows)
            cosines = features.vectors[block] @ vectors.T
            cosines[features.copies[block, None] == copies] = -np.inf
            bounds = np.partition(cosines, place, axis=1)[:, place, None]
            near = np.flatnonzero(cosines >= np.maximum(bounds, LEAST))
            image, voter = np.divmod(near, len(voters))
            cells = np.bincount(image * classes + voted[voter], minlength=len(cosines) * classes)
            counts[block] = cells.reshape(-1, classes)
            advance(min(start + rows, n))
    return counts


def doubted(labels: Indices, counts: Indices) -> tuple[Indices, Indices]:
    """The images whose votes are hardly ever for their label and agree on another, and that one.

    The most suspect come first. Where the votes find less than half of the images of a class, the features do not
    separate it from others: no label of that class is suspected then, and it is not suggested.
    """
    shares, suggested = _shares(counts), counts.argmax(axis=1)
    own, other = shares[np.arange(len(labels)), labels], shares.max(axis=1, initial=0)
    sizes = np.bincount(labels, minlength=counts.shape[1])
    confirmed = np.bincount(labels[suggested == labels], minlength=counts.shape[1])
    known = confirmed >= np.maximum(KNOWN * sizes, 1)
    images = np.flatnonzero((own <= OWN) & (other >= OTHER) & known[labels] & known[suggested])
    images = images[np.argsort((own - other)[images], kind="stable")]
    return images, suggested[images]


def _shares(counts: Indices) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares


def _first_copies(copies: NDArray[np.uint64], labels: Indices) -> NDArray[np.bool_]:
    """Which of some images are no copy, with the same label, of one before: their files are named once."""
    _, first = np.unique(np.stack([copies, labels.astype(np.uint64)]), axis=1, return_index=True)
    kept = np.zeros(len(labels), np.bool_)
    kept[first] = True
    return kept


def _features(model: KerasModel, fitted: Split, validation: Split, drawn: Indices) -> Features:
    predictor, start = feature_predictor(model), len(fitted)
    parts = ((fitted, drawn[drawn < start]), (validation, drawn[drawn >= start] - start))
    vectors, copies, done = [], [], 0
    with progress("evaluate: training images", len(drawn)) as advance:
        for split, indices in parts:
            for chunk in chunks(indices, split.shape, BATCH_SIZE):
                images = split.take(chunk)
                vectors.append(predictor(images))
                copies.append(hashes(images))
                done += len(images)
                advance(done)
    return Features(np.concatenate(vectors), np.concatenate(copies))


def _suspect(index: int, label: int, suggested: int, shares: NDArray[np.float64]) -> Suspect:
    given, probability = (round(float(shares[k]), 4) for k in (label, suggested))
    return {
        "split": SPLIT,
        "index": index,
        "truth": label,
        "predicted": suggested,
        "given": given,
        "probability": probability,
        "margin": round(given - probability, 4),
    }
