"""When a DAG runs."""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable
from croniter import croniter

from components.errors import ConfigError

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")


def at(setting: str, expression: str) -> CronTriggerTimetable | None:
    """The timetable of a cron *expression* in UTC, None where it is empty; raises ConfigError where it is malformed.

    A DAG that is new to Airflow waits for its next time and does not catch up on the last one.
    """
    if not expression:
        return None
    if expression not in PRESETS and not croniter.is_valid(expression):
        raise ConfigError(
            f"{setting} is {expression!r}; expected five fields such as '0 3 * * 1', or one of {', '.join(PRESETS)}"
        )
    return CronTriggerTimetable(expression, timezone="UTC", run_immediately=timedelta(0))
