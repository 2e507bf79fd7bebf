"""A run that does not end in time, as Airflow's triggerer reports it."""

import asyncio
import inspect
import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.definitions.callback import AsyncCallback

from pipeline.airflow import lateness
from pipeline.airflow.lateness import RunDue, deadline, report
from pipeline.airflow.params_form import read_settings
from pipeline.airflow.plugins.pipeline_reports import PipelineReports
from pipeline.airflow.project import Project


def reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> list[dict[str, object]]:
    """The notifications about a run in *state* whose deadline has passed."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.delenv("NOTIFY_WEBHOOK_URL", raising=False)
    run = {"dag_id": "retrain", "dag_run_id": "scheduled__1", "state": state}
    asyncio.run(report(hours=24.0, context={"dag_run": run}))
    file = tmp_path / "notifications.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_that_has_not_ended_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """Its DAG, its name and the setting are in the sentence."""
    (notification,) = reported(tmp_path, monkeypatch, state)
    assert (notification["event"], notification["dag"], notification["run"]) == ("late", "retrain", "scheduled__1")
    assert notification["text"] == (
        "retrain: scheduled__1 has not ended 24 hours after it was due (schedule.late_hours)"
    )


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_run_that_has_ended_is_not_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """Airflow keeps the deadline of a run that failed, which has been reported as that."""
    assert reported(tmp_path, monkeypatch, state) == []


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow has the folder of the pipeline's plugins."""
    monkeypatch.setenv("AIRFLOW__CORE__PLUGINS_FOLDER", str(Path(inspect.getfile(PipelineReports)).parent))


@pytest.mark.usefixtures("registered")
def test_the_deadline_follows_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """schedule.late_hours, 0 for none; the triggerer imports what it calls by name."""
    monkeypatch.setenv("PIPELINE_SCHEDULE_LATE_HOURS", "1.5")
    alert = deadline(Project(settings=read_settings()[0]))
    assert alert
    assert alert.interval == timedelta(hours=1.5)
    assert isinstance(alert.callback, AsyncCallback)
    assert alert.callback.path == "pipeline.airflow.lateness.report"
    monkeypatch.setenv("PIPELINE_SCHEDULE_LATE_HOURS", "0")
    assert deadline(Project(settings=read_settings()[0])) is None


def test_without_the_plugin_there_is_no_deadline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Airflow refuses to create a run whose deadline it cannot read."""
    monkeypatch.setenv("AIRFLOW__CORE__PLUGINS_FOLDER", str(tmp_path))
    assert deadline(Project(settings=read_settings()[0])) is None


@pytest.mark.usefixtures("registered")
def test_a_worker_needs_no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads the DAG for one task of a run that has begun."""
    monkeypatch.setattr(lateness, "get_parsing_context", lambda: SimpleNamespace(dag_id="retrain"))
    assert deadline(Project(settings=read_settings()[0])) is None


def test_the_plugin_registers_what_runs_refer_to() -> None:
    """By the names under which its deadline is looked for."""
    assert PipelineReports.deadline_references == [RunDue]
    assert PipelineReports.name == lateness.PLUGIN
