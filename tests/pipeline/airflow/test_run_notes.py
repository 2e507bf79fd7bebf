"""What a run of Airflow shows of itself."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.models.dagrun import DagRun, DagRunNote
from airflow.utils.types import DagRunType

from pipeline.airflow.run_names import run_name
from pipeline.airflow.run_notes import on_dag_run_failed, on_dag_run_running, on_dag_run_success, outcome
from pipeline.home import Home
from pipeline.run_record import Promotion, RunRecord, RunRecorder

WHEN = "2026-01-01T00:00:00Z"


def record(**fields: Any) -> RunRecord:
    return RunRecord("run", WHEN, accuracy=0.9952, model={"name": "digits", "version": "12"}, **fields)


@pytest.mark.parametrize(
    ("promotion", "expected"),
    [
        (
            {"outcome": "promoted", "reason": "more right", "champion_accuracy": 0.9948},
            "version 12 promoted, 99.52 % (champion 99.48 %)",
        ),
        ({"outcome": "promoted", "reason": "the first"}, "version 12 promoted, 99.52 %"),
        ({"outcome": "unchanged", "reason": ""}, "version 12 is champion already, 99.52 %"),
        ({"outcome": "left to a user", "reason": "left to a user"}, "version 12 left to a user, 99.52 %"),
        (
            {"outcome": "undecided", "reason": "too few test images", "champion_accuracy": 0.9948},
            "version 12 undecided, 99.52 % (champion 99.48 %): too few test images",
        ),
    ],
)
def test_the_note_says_what_became_of_the_champion(promotion: Promotion, expected: str) -> None:
    """The version, its accuracy, and that of the champion where the two were compared."""
    assert outcome(record(promotion=promotion)) == expected


def test_the_note_says_why_a_run_was_refused() -> None:
    """In the words of the UI."""
    refused = record(state="refused", error="below the gate; train longer with --set train.epochs=6")
    assert outcome(refused) == "below the gate; train longer: *Trigger* a run with train.epochs=6"
    assert outcome(RunRecord("run", WHEN)) == ""


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunRecord:
    """The record of the run "manual" of the DAG `retrain`."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    record = RunRecord(run_name("retrain", "manual"), WHEN, state="refused", error="below the gate")
    with RunRecorder(Home.from_environment(), record):
        return record


@pytest.mark.usefixtures("kept")
def test_a_note_of_a_person_stays() -> None:
    """One of an earlier end of the run is replaced."""
    run = DagRun(dag_id="retrain", run_id="manual")
    on_dag_run_failed(run, "")
    assert run.note == "below the gate"
    run.note = "an earlier end"
    on_dag_run_success(run, "")
    assert run.note == "below the gate"
    run.dag_run_note = DagRunNote("do not clear", user_id="admin")  # type: ignore[no-untyped-call]
    on_dag_run_failed(run, "")
    assert run.note == "do not clear"


def test_the_note_of_a_backfilled_run_says_why_the_champion_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asked for another one."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    done = record(promotion={"outcome": "left to a user", "reason": "left to a user"})
    done.run = run_name("retrain", "backfill")
    with RunRecorder(Home.from_environment(), done):
        run = DagRun(dag_id="retrain", run_id="backfill", run_type=DagRunType.BACKFILL_JOB)
        on_dag_run_success(run, "")
    expected = "version 12 left to a user, 99.52 %; a backfilled run leaves the champion as it is"
    assert run.note == expected


@pytest.mark.usefixtures("kept")
def test_runs_of_other_dags_have_no_note() -> None:
    """Airflow calls its listeners for each of its DAGs."""
    run = DagRun(dag_id="another", run_id="manual")
    on_dag_run_failed(run, "")
    assert run.note is None


@pytest.mark.parametrize(
    ("conf", "shown"),
    [
        ({"train.epochs": 3, "train.seed": None, "force": None}, {"train.epochs": 3}),
        ({"train.epochs": None}, {}),
        ({"of another DAG": None}, {"of another DAG": None}),
        ({}, {}),
        (None, None),
    ],
)
def test_the_conf_of_a_run_holds_what_was_set(conf: object, shown: object) -> None:
    """The form sends each of its fields, also the empty ones."""
    run = cast("DagRun", SimpleNamespace(conf=conf))
    on_dag_run_running(run, "")
    assert run.conf == shown
