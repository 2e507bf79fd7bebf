"""The waits before retries: those that docs/settings.md states, and no others."""

import pytest

from components.settings.sections import Schedule
from pipeline.airflow.retries import DoubledWaits


def waits(schedule: Schedule, first_try: int = 1, retries: int | None = None) -> list[float]:
    """The seconds after each failure of a task that has *retries* left when it begins with its try *first_try*."""
    policy, most = DoubledWaits(schedule), first_try - 1 + (schedule.retries if retries is None else retries)
    decisions = [policy.evaluate(OSError(), number, most) for number in range(first_try, most + 1)]
    return [decision.retry_delay.total_seconds() for decision in decisions if decision.retry_delay]


def test_each_wait_is_twice_the_one_before() -> None:
    assert waits(Schedule()) == [60, 120, 240]
    assert waits(Schedule(retries=4, retry_seconds=1)) == [1, 2, 4, 8]


@pytest.mark.parametrize("seconds", [1800, 3600, 86_400])
def test_waits_end_at_an_hour(seconds: float) -> None:
    """Unless the first one is longer, which then is every one's."""
    assert waits(Schedule(retries=3, retry_seconds=seconds))[1:] == [max(3600, seconds)] * 2
    assert max(waits(Schedule(retries=100))) == 3600


def test_waits_begin_again_after_clear() -> None:
    """*Clear* gives a task all of its retries again, and the first wait with them."""
    assert waits(Schedule(), first_try=4) == [60, 120, 240]


def test_tries_that_were_no_failures_count_for_no_wait() -> None:
    """A try that ended with the scheduler is given back, and doubles nothing."""
    policy = DoubledWaits(Schedule(retries=3))
    [after_first, after_given_back] = [policy.evaluate(OSError(), number, 3 + number - 1) for number in (1, 2)]
    assert after_first.retry_delay == after_given_back.retry_delay


def test_a_changed_number_of_retries_does_no_harm() -> None:
    """The settings file was edited while a run was under way."""
    assert DoubledWaits(Schedule(retries=1)).evaluate(OSError(), 1, 7).retry_delay
