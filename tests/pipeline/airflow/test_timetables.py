"""When a DAG runs, over a year with both changes of the clock."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk import timezone
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import DataInterval, TimeRestriction

from components.errors import ConfigError
from pipeline.airflow.timetables import at

YEAR = 2027
ZONES = {"Europe/Berlin": ("2027-03-28", "2027-10-31"), "America/New_York": ("2027-03-14", "2027-11-07")}
SECONDS_OF_THE_SCHEDULER = 5  # after the time of a run, when it is begun and the next one is asked for


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The time at which Airflow asks for the next run."""
    now = [timezone.datetime(YEAR, 1, 1)]  # type: ignore[no-untyped-call]
    monkeypatch.setattr("airflow.timetables.trigger.utcnow", lambda: now[0])
    return now


def times(clock: list[datetime], expression: str, zone: str) -> list[datetime]:
    """The local times of a year's runs, as the scheduler finds them: one after the other."""
    timetable = coerce_to_core_timetable(at("schedule.cron", expression, zone))
    assert timetable
    last, found = None, list[datetime]()
    while True:
        run = timetable.next_dagrun_info(
            last_automated_data_interval=last, restriction=TimeRestriction(None, None, catchup=False)
        )
        assert run is not None
        assert not found or run.run_after > found[-1]
        if run.run_after.year > YEAR:
            return [time.astimezone(ZoneInfo(zone)) for time in found]
        found.append(run.run_after)
        last = DataInterval.exact(run.run_after)
        clock[0] = run.run_after + timedelta(seconds=SECONDS_OF_THE_SCHEDULER)


@pytest.mark.parametrize("zone", ZONES)
def test_a_weekly_run_keeps_its_hour(clock: list[datetime], zone: str) -> None:
    """Three o'clock of the operator on each Monday, in summer and in winter."""
    runs = times(clock, "0 3 * * 1", zone)
    assert len(runs) == 52
    assert {(run.weekday(), run.hour, run.minute) for run in runs} == {(0, 3, 0)}
    assert len({run.utcoffset() for run in runs}) == 2


@pytest.mark.parametrize(("zone", "changes"), ZONES.items())
def test_a_daily_run_comes_once_a_day(clock: list[datetime], zone: str, changes: tuple[str, str]) -> None:
    """Half past two does not exist on one night, and exists twice on another: an hour later, and once."""
    runs = times(clock, "30 2 * * *", zone)
    assert [run.date().toordinal() for run in runs] == list(range(runs[0].toordinal(), runs[0].toordinal() + 365))
    odd = {run.date().isoformat(): run.hour for run in runs if (run.hour, run.minute) != (2, 30)}
    assert odd == {changes[0]: 3}


@pytest.mark.parametrize("zone", ZONES)
def test_a_look_every_few_minutes_misses_no_hour(clock: list[datetime], zone: str) -> None:
    """Also within the hour that comes twice."""
    runs = [run.astimezone(UTC) for run in times(clock, "*/30 * * * *", zone)]
    assert {(later - earlier).total_seconds() for earlier, later in pairwise(runs)} == {1800}


@pytest.mark.parametrize("zone", ["Berlin", "europe", "Europe", "../Europe/Berlin", "UTC+1", ""])
def test_a_time_zone_that_does_not_exist_is_refused(zone: str) -> None:
    """In one sentence, with one that does."""
    with pytest.raises(ConfigError, match="expected the name of a time zone") as raised:
        at("schedule.cron", "@daily", zone)
    assert str(raised.value).startswith(f"schedule.timezone is {zone!r}")


def test_utc_needs_no_database_of_time_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a small container."""
    monkeypatch.setattr("zoneinfo.ZoneInfo", {}.__getitem__)
    assert at("schedule.cron", "@daily", "UTC")
