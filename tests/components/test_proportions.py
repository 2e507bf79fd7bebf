"""Shares and their uncertainty."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.proportions import upper_bound, upper_tail, wilson


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        # Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), table I
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(correct: int, n: int, low: float, high: float) -> None:
    """The interval agrees with Newcombe's table in all four decimals that it prints."""
    assert wilson(correct, n) == pytest.approx((low, high), abs=0.00005)


@given(st.integers(1, 20_000), st.data())
def test_wilson_holds_the_share_and_stays_within_0_and_1(n: int, data: st.DataObject) -> None:
    """Whatever was counted, the interval holds the measured share and no share that cannot be."""
    correct = data.draw(st.integers(0, n))
    low, high = wilson(correct, n)
    assert 0 <= low <= correct / n <= high <= 1


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


def test_the_upper_bound_is_clopper_and_pearsons() -> None:
    """The rule of three where nothing happened; elsewhere as few successes have the probability that is left over."""
    assert upper_bound(0, 3000) == pytest.approx(1 - 0.05 ** (1 / 3000))
    for successes, n in ((1, 50), (30, 200), (199, 200)):
        assert 1 - upper_tail(successes + 1, n, upper_bound(successes, n)) == pytest.approx(0.05)
    assert upper_bound(20, 20) == 1
