"""The baseline: always answering the most frequent class, and the exact test against it."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifact_files import Metrics
from components.evaluate.baseline import Baseline, against, gate_reached
from components.proportions import upper_tail


def test_the_baseline_is_the_most_frequent_class_and_has_to_be_beaten_by_more_than_chance() -> None:
    """Of 100 coins 59 are more than chance at 95 % and 58 are not; one class alone can never be beaten."""
    assert [against(correct, [50, 50]).beaten for correct in (58, 59)] == [False, True]
    base = against(7, [2, 5, 3])
    assert (base.answer, base.accuracy, base.n) == (1, 0.5, 10)
    assert not against(10, [10, 0]).beaten
    assert against(10, [10, 0]).fewest == 0
    assert Baseline(answer=0, images=1, n=2, p=0.05).beaten
    assert against(0, [1] * 20).fewest == 1  # chance is just 0.05


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
