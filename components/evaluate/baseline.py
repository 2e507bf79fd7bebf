"""The baseline of an evaluation: a model that always answers the most frequent class of the test split.

A model has to be better than that by more than chance, whatever accuracy the settings require. Standard library only.
"""

import math
from dataclasses import dataclass

from components.artifact_files import Metrics
from components.proportions import upper_tail

ALPHA = 0.05  # level of the one-sided test: confidence of 95 %


@dataclass(frozen=True)
class Baseline:
    """The most frequent class, *answer*, of *images* of the *n* test images; *p* is that of the model against it.

    *p* is the probability that a model whose true accuracy is the baseline's gets at least as many images right: the
    upper tail of a binomial distribution, exact.
    """

    answer: int
    images: int
    n: int
    p: float

    @property
    def accuracy(self) -> float:
        return self.images / self.n

    @property
    def beaten(self) -> bool:
        return self.p <= ALPHA

    @property
    def fewest(self) -> int:
        """The fewest test images, with these class shares, on which a model without a mistake passes; 0: none do."""
        return math.ceil(math.log(ALPHA) / math.log(self.accuracy) - 1e-9) if self.images < self.n else 0


def of(metrics: Metrics) -> Baseline:
    """The baseline of the evaluation *metrics*."""
    supports = [row["support"] for row in metrics["per_class"]]
    return against(metrics["correct"], supports)


def against(correct: int, supports: list[int]) -> Baseline:
    """The baseline for *supports*, the test images of each class, and a model with *correct* of them right."""
    n, images = sum(supports), max(supports)
    return Baseline(supports.index(images), images, n, upper_tail(correct, n, images / n))


def gate_reached(metrics: Metrics) -> float:
    """A bound on the accuracy that an equal model passes, most likely: where the interval begins, rounded down.

    To a percent, above 99 % to a tenth of one.
    """
    steps = 1000 if metrics["wilson_low"] > 0.99 else 100
    return math.floor(metrics["wilson_low"] * steps) / steps
