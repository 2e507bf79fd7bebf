"""How far two data sets are apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data.drift import jensen_shannon


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8))
def test_distance_is_that_of_scipy(counts: list[tuple[int, int]]) -> None:
    """The distance is SciPy's Jensen-Shannon distance to base 2."""
    from scipy.spatial.distance import jensenshannon  # type: ignore[import-untyped]

    p, q = (np.array([pair[side] for pair in counts] + [1.0]) for side in (0, 1))
    named = [dict(zip("abcdefghi", (of / of.sum()).tolist(), strict=False)) for of in (p, q)]
    assert jensen_shannon(*named) == pytest.approx(jensenshannon(p, q, base=2), abs=1e-7)


def test_distance_of_classes_that_are_not_shared() -> None:
    """Distributions over other classes are as far apart as can be."""
    assert jensen_shannon({"a": 1.0}, {"b": 1.0}) == 1.0
    assert jensen_shannon({"a": 0.5, "b": 0.5}, {"b": 0.5, "a": 0.5}) == 0.0
