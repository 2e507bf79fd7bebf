"""Is one classifier worse than another by more than a margin? Judged on the same images, with a stated confidence.

*gained* images are classified correctly by the challenger alone, *lost* ones by the champion alone; all others say
nothing about the difference of the two accuracies, (gained - lost) / n. Standard library only.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["not worse", "worse", "undecided"]

POWER = 0.8  # with which the stated number of images would show a difference of the size that was seen
MOST_IMAGES = 10_000_000  # that are worth stating


@dataclass(frozen=True)
class Paired:
    """Two classifiers on the same *n* images."""

    n: int
    gained: int
    lost: int

    @property
    def difference(self) -> float:
        return (self.gained - self.lost) / self.n


def judge(paired: Paired, p: float, margin: float, confidence: float) -> Outcome:
    """Whether the challenger is worse than the champion by more than *margin*.

    "not worse" where the observed loss is at most the margin. "worse" where both tests say so with *confidence*: the
    score test of a loss of the margin, and McNemar's exact test of none, one-sided, of which *p* is the two-sided
    value; on few images the score test alone would reject too often. "undecided" otherwise.
    """
    if -paired.difference <= margin:
        return "not worse"
    below = score(paired, -margin) <= -_quantile(confidence)
    return "worse" if below and p / 2 <= 1 - confidence else "undecided"


def score(paired: Paired, difference: float) -> float:
    """How many standard errors the observed difference lies above *difference*, which is between -1 and 1.

    The standard error is that of the most likely probabilities whose difference is that; at 0 it is McNemar's test.
    T. Tango, Equivalence test and confidence interval for the difference in proportions for the paired-sample design,
    Statistics in Medicine 17 (1998) 891-908.
    """
    n, gained, lost = paired.n, paired.gained, paired.lost
    linear = (2 * n - gained + lost) * difference - gained - lost
    constant = -lost * difference * (1 - difference)
    root = math.sqrt(max(0.0, linear * linear - 8 * n * constant))
    only_champion = max(0.0, (root - linear) / (4 * n))  # the probability, fitted
    variance = n * (2 * only_champion + difference * (1 - difference))
    distance = gained - lost - n * difference
    if variance <= 0:
        return 0.0 if distance == 0 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def bounds(paired: Paired, confidence: float) -> tuple[float, float]:
    """The lower and the upper one-sided bound of the difference, each with *confidence*."""
    z = _quantile(confidence)
    low = _root(lambda difference: score(paired, difference) > z, -1.0, paired.difference)
    high = _root(lambda difference: score(paired, difference) > -z, paired.difference, 1.0)
    return low, high


def _root(above: Callable[[float], bool], low: float, high: float) -> float:
    """Where *above*, true to the left, becomes false."""
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if above(middle) else (low, middle)
    return (low + high) / 2


def images_needed(paired: Paired, margin: float, confidence: float) -> int | None:
    """Test images on which a loss of the observed size would be shown to exceed *margin*, with the power POWER.

    None where that takes more than MOST_IMAGES, as the loss is hardly above the margin.
    """
    z = -score(paired, -margin)
    needed = _quantile(confidence) + _quantile(POWER)
    images = paired.n * (needed / z) ** 2 if z > 0 else math.inf
    return math.ceil(images) if images <= MOST_IMAGES else None


def _quantile(probability: float) -> float:
    """The point below which a standard normal variable lies with *probability*."""
    from statistics import NormalDist  # takes longer to import than a run with nothing to do has for it

    return NormalDist().inv_cdf(probability)
