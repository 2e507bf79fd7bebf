"""How worn the test split is: each model that it judges, and that changes what comes next, uses it up a little.

The interval of an accuracy holds for one model that was chosen without the test images. Where k models were judged by
the same images, one of their k intervals may well miss, and the best of them looks better than it is. So the interval
is widened for the number of models, rounded up, by the union bound: each of the k holds with a confidence of
1 - 5 % / k, so that all hold with 95 %. Standard library only.

A. Blum, M. Hardt, The ladder: a reliable leaderboard for machine learning competitions, 2015: arXiv:1502.04585.
C. Renggli and others, Continuous integration of machine learning models with ease.ml/ci, 2019: arXiv:1903.00278.
"""

from dataclasses import dataclass
from itertools import count

from components.artifact_files import Metrics
from components.proportions import wilson

MISSES = 0.05  # the probability that an interval misses, of all models together
WORN = 50  # models: a year of weekly retraining


@dataclass(frozen=True)
class Wear:
    """The models that the test split has *judged*, this one too, and the interval that holds for *models* of them."""

    judged: int
    models: int
    low: float
    high: float

    @property
    def worn(self) -> bool:
        return self.judged > WORN


def of(metrics: Metrics, judged: int) -> Wear:
    """The wear of a test split that has *judged* models, the one with *metrics* among them."""
    models = rounded_up(judged)
    return Wear(judged, models, *wilson(metrics["correct"], metrics["n"], _z(models)))


def rounded_up(judged: int) -> int:
    """1, or the first of 10, 20, 50, 100, 200, 500, ... that is not below *judged*: the interval changes rarely."""
    steps = (digit * 10**power for power in count(1) for digit in (1, 2, 5))
    return 1 if judged <= 1 else next(step for step in steps if step >= judged)


def _z(models: int) -> float:
    """How many standard errors an interval extends to either side to hold for *models* models."""
    from statistics import NormalDist  # takes longer to import than everything else here

    return NormalDist().inv_cdf(1 - MISSES / 2 / models)
