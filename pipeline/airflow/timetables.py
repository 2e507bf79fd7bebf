"""When a DAG runs."""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable

from components.errors import ConfigError
from components.settings import cron


def at(setting: str, expression: str) -> CronTriggerTimetable | None:
    """The timetable of a cron *expression* in UTC, None where it is empty.

    Raises ConfigError where it is malformed, or never comes: of the latter Airflow would say nothing. A DAG that is new
    to Airflow waits for its next time and does not catch up on the last one.
    """
    if not expression:
        return None
    try:
        cron.check(expression)
    except ValueError as error:
        raise ConfigError(f"{setting} is {expression!r}; {error}") from None
    return CronTriggerTimetable(expression, timezone="UTC", run_immediately=timedelta(0))
