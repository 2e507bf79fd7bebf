"""The baseline of an evaluation: a model that always answers the most frequent class of the test split.

A model has to be better than that by more than chance, whatever accuracy the settings require. Standard library only.
"""

import math
from dataclasses import dataclass

from components.artifact_files import Metrics

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


def upper_tail(successes: int, n: int, share: float) -> float:
    """The probability of at least *successes* in *n* independent trials that each succeed with probability *share*."""
    if successes <= 0:
        return 1.0
    if successes > n or share in (0, 1):
        return float(successes <= n and share == 1)
    if successes <= n * share:  # the shorter tail is the other one
        return 1.0 - _sum_of_tail(n - successes + 1, n, 1 - share)
    return _sum_of_tail(successes, n, share)


def _sum_of_tail(successes: int, n: int, share: float) -> float:
    """The terms from *successes* on, above the mean, where each is smaller than the one before."""
    of_ways = math.lgamma(n + 1) - math.lgamma(successes + 1) - math.lgamma(n - successes + 1)
    term = math.exp(of_ways + successes * math.log(share) + (n - successes) * math.log1p(-share))
    total, odds = term, share / (1 - share)
    for k in range(successes, n):
        term *= (n - k) / (k + 1) * odds
        total += term
        if term < 1e-17 * total:
            break
    return min(1.0, total)
