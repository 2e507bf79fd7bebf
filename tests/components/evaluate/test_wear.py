"""The test split wears out: how many models it judged, and the interval that still holds."""

from typing import Any, cast

import numpy as np
import pytest

from components.artifact_files import Metrics
from components.evaluate import wear
from components.proportions import wilson

METRICS = cast(Metrics, cast(Any, {"correct": 980, "n": 1000}))


@pytest.mark.parametrize(
    ("judged", "models"), [(1, 1), (2, 10), (10, 10), (11, 20), (21, 50), (37, 50), (51, 100), (101, 200), (999, 1000)]
)
def test_the_number_of_models_is_rounded_up(judged: int, models: int) -> None:
    """So that the interval stays the same for a while."""
    assert wear.of(METRICS, judged).models == models


def test_one_model_has_the_interval_of_its_evaluation_and_each_step_a_wider_one() -> None:
    """At a thousand models it is twice as wide."""
    assert wear.of(METRICS, 1).low == pytest.approx(wilson(980, 1000)[0])
    widths = [wear.of(METRICS, judged).high - wear.of(METRICS, judged).low for judged in (1, 10, 20, 100, 1000)]
    assert widths == sorted(widths)
    assert 1.9 < widths[-1] / widths[0] < 2.2


def test_the_intervals_of_all_models_hold_at_once() -> None:
    """Ten equal models, 2,000 times: in 95 % (of so many, 93.5) no interval of the ten misses; without it in 65 %."""
    correct = np.random.default_rng(0).binomial(1000, 0.9, (2000, 10))
    misses = []
    for models in (10, 1):
        holds = np.zeros(1001, bool)
        for k in np.unique(correct):
            bounds = wear.of(cast(Metrics, cast(Any, {"correct": int(k), "n": 1000})), models)
            holds[k] = bounds.low <= 0.9 <= bounds.high
        misses.append(1 - holds[correct].all(axis=1).mean())
    assert misses[0] <= 0.065
    assert misses[1] > 0.3


def test_after_a_year_of_weeks_the_split_is_worn() -> None:
    """From the 51st model on."""
    assert [wear.of(METRICS, judged).worn for judged in (50, 51)] == [False, True]
