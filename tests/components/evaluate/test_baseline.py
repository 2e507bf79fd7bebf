"""The baseline: always answering the most frequent class, and the exact test against it."""

import math
from fractions import Fraction
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifact_files import Metrics
from components.evaluate.baseline import against, gate_reached, upper_tail


@given(n=st.integers(1, 60), data=st.data())
def test_the_tail_is_that_of_exact_arithmetic(n: int, data: st.DataObject) -> None:
    """Every term as a fraction, summed without rounding."""
    images, correct = data.draw(st.integers(0, n)), data.draw(st.integers(0, n + 1))
    share = Fraction(images, n)
    exact = sum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(correct, n + 1))
    assert upper_tail(correct, n, images / n) == pytest.approx(float(exact), abs=1e-12)


def test_a_tail_of_a_million_images_is_summed_in_no_time_and_right() -> None:
    """501,000 heads of a million tosses, two standard deviations: the normal distribution gives 0.02275."""
    assert upper_tail(501_000, 1_000_000, 0.5) == pytest.approx(0.0228, abs=1e-4)
    assert upper_tail(999_000, 1_000_000, 0.1) == 0


def test_the_baseline_is_the_most_frequent_class_and_has_to_be_beaten_by_more_than_chance() -> None:
    """Of 100 coins 59 are more than chance at 95 % and 58 are not; one class alone can never be beaten."""
    assert [against(correct, [50, 50]).beaten for correct in (58, 59)] == [False, True]
    base = against(7, [2, 5, 3])
    assert (base.answer, base.accuracy, base.n) == (1, 0.5, 10)
    assert not against(10, [10, 0]).beaten
    assert against(10, [10, 0]).fewest == 0


@given(shares=st.lists(st.integers(1, 20), min_size=2, max_size=5))
def test_the_fewest_images_are_the_first_number_at_which_a_perfect_model_passes(shares: list[int]) -> None:
    """One image less, with the same class shares, and chance would do as well."""
    base = against(0, shares)
    assert (
        upper_tail(base.fewest, base.fewest, base.accuracy)
        <= 0.05
        < upper_tail(base.fewest - 1, base.fewest - 1, base.accuracy) + 1e-9
    )


@pytest.mark.parametrize(("low", "bound"), [(0.9634, 0.96), (0.9, 0.9), (0.9917, 0.991), (0.004, 0.0)])
def test_the_bound_that_a_run_suggests_is_where_its_interval_begins_rounded_down(low: float, bound: float) -> None:
    """To a percent, near the top to a tenth of one: an equal model passes it."""
    assert gate_reached(cast(Metrics, cast(Any, {"wilson_low": low}))) == bound
