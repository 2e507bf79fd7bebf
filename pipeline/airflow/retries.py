"""The waits before the retries of a task: schedule.retry_seconds, and twice as long before each further one.

Airflow's own exponential backoff adds up to as much again, by chance, and counts tries that were no failures.
"""

from datetime import timedelta

from airflow.sdk import RetryDecision, RetryPolicy
from airflow.sdk.definitions.context import Context

from components.settings.sections import Schedule

LONGEST = 3600.0  # seconds that a wait is doubled to


class DoubledWaits(RetryPolicy):
    """Airflow asks it in the process of a task that failed; one that was killed is retried after retry_seconds."""

    def __init__(self, schedule: Schedule) -> None:
        self._seconds = schedule.retry_seconds
        self._retries = schedule.retries

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """The wait after the try *try_number*, if *max_tries* allows another one.

        *max_tries* grows with *Clear* and with tries that ended for no fault of the task: those are no failures.
        """
        failures = max(1, try_number - (max_tries - self._retries))
        doubled = min(self._seconds * 2 ** (failures - 1), LONGEST)
        return RetryDecision.retry(delay=timedelta(seconds=max(doubled, self._seconds)))
