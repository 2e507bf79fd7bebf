"""Cron expressions: five fields and a time that comes. croniter, which Airflow uses too, reads all but the defaults."""

import re
from datetime import UTC, datetime

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
EXPECTED = f"expected five fields such as '0 3 * * 1', or one of {', '.join(PRESETS)}"
RANDOM = re.compile(r"[rRhH](\(.*\))?(/\d+)?")  # croniter's: another time whenever it is asked, or by a hash
START, YEARS = datetime(2024, 3, 1, tzinfo=UTC), 8  # the longest time between two 29ths of February


def check(expression: str, usual: str = "") -> None:
    """Raise ValueError with what is wrong with *expression*; one that is empty, a preset or *usual* is right."""
    if expression in ("", usual, *PRESETS):
        return
    if reason := _reason(expression):
        raise ValueError(f"{EXPECTED} ({reason})")


def _reason(expression: str) -> str:
    """Why *expression* cannot be used, "" where it can."""
    fields = expression.split()
    if len(fields) != 5 and not expression.startswith("@"):
        more = ", and seconds and years are not supported" if len(fields) > 5 else ""
        return f"this has {len(fields)}{more}"
    if any(RANDOM.fullmatch(part) for field in fields for part in field.split(",")):
        return "R and H mean another time on every machine"
    return _reason_by_croniter(expression)


def _reason_by_croniter(expression: str) -> str:
    try:
        from croniter import CroniterBadDateError, croniter
    except ImportError:  # as where only docker is installed; Airflow, which has it, checks again
        return ""
    if not croniter.is_valid(expression):
        return "this is no cron expression"
    try:
        croniter(expression, START, max_years_between_matches=YEARS).get_next()
    except CroniterBadDateError:
        return "this day never comes"
    return ""
