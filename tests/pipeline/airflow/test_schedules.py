"""What begins by the clock in a real Airflow: a scheduled run that is late, a backfill, housekeeping."""

import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest

from components.registry.client import CHALLENGER, CHAMPION, Registry
from tests.support.airflow_server import Json, Served, digits, unless_locked

pytestmark = pytest.mark.airflow

NAME = "digits-classifier"
DATES = 2  # that are backfilled
SEED = 77  # of no other test: the backfilled runs train


@contextmanager
def every_minute(served: Served) -> Iterator[None]:
    """Within the block `retrain` begins every minute, and is late after four seconds."""
    try:
        with served.edited('cron = ""', 'cron = "* * * * *"\nlate_hours = 0.001'):
            served.read_again("retrain")
            yield
    finally:
        served.read_again("retrain")


@dataclass
class Timed:
    """The run of the schedule, and those of the backfill."""

    scheduled: str
    backfilled: list[str]
    champion: str  # before


@pytest.fixture(scope="module")
def timed(served: Served, first: str) -> Timed:
    before = champion(served)
    with every_minute(served):
        scheduled = served.until(lambda: of_type(served, "scheduled"))
        served.until(lambda: backfill(served))
    backfilled = of_type(served, "backfill")
    assert len(backfilled) == DATES
    for run in (*scheduled, *backfilled):
        served.succeeded(run)
    return Timed(scheduled[0], backfilled, before)


def champion(served: Served) -> str:
    return version_of(served, CHAMPION)


def version_of(served: Served, alias: str) -> str:
    version = Registry(f"sqlite:///{served.home / 'mlflow.db'}").alias(NAME, alias)
    assert version
    return version.version


def of_type(served: Served, kind: str) -> list[str]:
    return [run["dag_run_id"] for run in served.runs("retrain") if run["run_type"] == kind]


def backfill(served: Served) -> bool:
    """Whether Airflow creates the backfill: on SQLite it gives up where another process writes, and the backfill that
    it leaves without runs has to be cancelled."""
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=1)
    end = start + timedelta(minutes=DATES - 1)
    dates = {"from_date": start.isoformat(), "to_date": end.isoformat()}
    try:
        served.api.post("backfills", {"dag_id": "retrain", **dates, "dag_run_conf": digits(train__seed=SEED)})
    except urllib.error.HTTPError as error:
        if error.code not in (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE):
            raise
        for left in served.api.get("backfills?dag_id=retrain")["backfills"]:
            if not left["completed_at"]:
                cancel = f"backfills/{left['id']}/cancel"
                served.until(lambda: unless_locked(lambda: served.api.put(cancel)))  # noqa: B023 - it is called at once
        return False
    return True


def deadlines(served: Served, run: str) -> list[Json]:
    """The deadlines of the run that Airflow has not dropped, as its UI shows them."""
    found: list[Json] = served.shown_by_ui(f"dags/retrain/dagRuns/{run}/deadlines")["deadlines"]
    return found


def alerts(served: Served) -> list[tuple[str, float]]:
    """Name and seconds of each deadline alert of the DAG's latest definition."""
    shown = served.shown_by_ui("dags/retrain/deadlineAlerts")["deadline_alerts"]
    return [(alert["name"], alert["interval"]) for alert in shown]


def test_a_run_that_does_not_end_in_time_is_reported(served: Served, timed: Timed) -> None:
    """By the triggerer, once, with the setting; the run goes on."""
    run = timed.scheduled
    [late] = served.until(lambda: [e for e in served.posted if (e["event"], e["run"]) == ("late", run)])
    assert late["text"].startswith(f"retrain: {run} has not ended 0.001 hours after it was due (schedule.late_hours)")
    served.until(lambda: [deadline["missed"] for deadline in deadlines(served, run)] == [True])  # stored after the news


def test_a_run_whose_deadline_is_to_come_can_be_cleared(served: Served, refused: str) -> None:
    """Airflow 3.3.2 answers with an internal error where the deadline counts from the time in the queue."""
    [before] = deadlines(served, refused)
    number = served.tasks(refused)["evaluate"]["try_number"]
    served.clear(refused, task_ids=["evaluate"], only_failed=True)
    served.until(lambda: served.tasks(refused)["evaluate"]["try_number"] > number)
    assert served.finished(refused)[0] == "failed"
    assert (deadlines(served, refused), before["missed"]) == ([before], False)


def test_every_kind_of_run_can_be_created(served: Served, timed: Timed, refused: str) -> None:
    """With a deadline; a backfilled run, whose date is past, has none. The definition of the DAG stays the same."""
    kinds = {run["run_type"] for run in served.runs("retrain")}
    assert kinds == {"manual", "asset_triggered", "scheduled", "backfill"}
    assert [deadlines(served, run) for run in timed.backfilled] == [[], []]
    served.until(lambda: alerts(served) == [("late", 24 * 3600)])  # a file that was being read may be stored after


def test_backfilled_runs_train_one_at_a_time(served: Served, timed: Timed) -> None:
    """Although Airflow runs both at once; the second takes what the first has made."""
    one, two = (served.tasks(run)["train"] for run in timed.backfilled)
    assert one["end_date"] <= two["start_date"] or two["end_date"] <= one["start_date"]
    assert sorted("train" in served.made(run) for run in timed.backfilled) == [False, True]


def test_a_backfill_leaves_the_champion(served: Served, timed: Timed) -> None:
    """Its model is the challenger; the note says why."""
    assert champion(served) == timed.champion != version_of(served, CHALLENGER)
    for run in timed.backfilled:
        assert "a backfilled run leaves the champion as it is" in served.shown(run)["note"]


def test_housekeeping_says_what_it_freed(served: Served, timed: Timed) -> None:
    """Both of its tasks succeed in a real scheduler, with Airflow's own database."""
    run = served.trigger({}, "housekeeping")
    served.succeeded(run, "housekeeping")
    log = served.log(run, "workspace", dag="housekeeping")
    assert "freed " in log
    assert "are left on the disk" in log
    assert "Airflow's metadata from before" in served.log(run, "metadata", dag="housekeeping")
