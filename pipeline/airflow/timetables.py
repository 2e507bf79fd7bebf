"""When a DAG runs."""

from collections.abc import Callable
from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, get_parsing_context

from components.errors import ConfigError
from components.settings import cron, timezone


def at(setting: str, expression: str, zone: str = timezone.UTC) -> CronTriggerTimetable | None:
    """The timetable of a cron *expression* in the time zone *zone*, None where it is empty.

    Raises ConfigError where it is malformed, or never comes: of the latter Airflow would say nothing. A DAG that is new
    to Airflow waits for its next time and does not catch up on the last one. A time that the clock skips in spring is
    taken an hour later, and one that comes twice in autumn once.

    None for a worker too: it reads the DAG for one task of a run under way, which a wrong schedule must not stop.
    """
    if not expression or get_parsing_context().dag_id:
        return None
    _expect(setting, expression, cron.check)
    _expect("schedule.timezone", zone, timezone.check)
    return CronTriggerTimetable(expression, timezone=zone, run_immediately=timedelta(0))


def _expect(setting: str, value: str, check: Callable[[str], None]) -> None:
    try:
        check(value)
    except ValueError as error:
        raise ConfigError(f"{setting} is {value!r}; {error}") from None
