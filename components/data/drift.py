"""How far two data sets are apart: shares of the classes, and the distance of two distributions. Loads no NumPy."""

import math
from collections.abc import Mapping, Sequence


def class_shares(classes: Sequence[str], counts: Sequence[int]) -> dict[str, float]:
    """Each class's share of all images; raises ZeroDivisionError where there are none."""
    total = sum(counts)
    return {name: count / total for name, count in zip(classes, counts, strict=True)}


def jensen_shannon(p: Mapping[str, float], q: Mapping[str, float]) -> float:
    """Jensen-Shannon distance of two distributions: 0 for equal ones, 1 for disjoint ones; names may differ.

    The square root of the divergence to base 2: Endres and Schindelin 2003, https://doi.org/10.1109/TIT.2003.813506
    """
    pairs = [(p.get(name, 0.0), q.get(name, 0.0)) for name in {**p, **q}]
    divergence = sum(x * math.log2(2 * x / (a + b)) for a, b in pairs for x in (a, b) if x) / 2
    return math.sqrt(max(0.0, divergence))
