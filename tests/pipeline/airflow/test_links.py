"""The links of a task, as Airflow shows them while it runs."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.airflow import links
from pipeline.airflow.run_names import run_name
from pipeline.home import Home
from pipeline.run_record import RunRecord, RunRecorder

LINK = "_link_MLflowRun"


class Task(SimpleNamespace):
    """A task instance that keeps what it pushes."""

    def __init__(self) -> None:
        super().__init__(dag_id="retrain", run_id="manual__1", pushed=[], news=threading.Semaphore(0))

    def xcom_push(self, key: str, value: str) -> None:
        self.pushed.append((key, value))
        self.news.release()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(links, "SECONDS", 0.001)
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.setenv("PIPELINE_MLFLOW_UI", "https://mlflow.example.org/team/")
    return Home(tmp_path)


def test_the_mlflow_run_is_linked_while_the_task_trains(home: Home) -> None:
    """Once, as soon as the run's record names it, also where another process writes that."""
    task = Task()
    with links.mlflow_run_linked(task), RunRecorder(home, RunRecord(run_name("retrain", "manual__1"), "")) as recorder:
        assert not task.news.acquire(timeout=0.02)
        recorder.record.mlflow_run, recorder.record.mlflow_experiment = "abc", "7"
        recorder.save()
        assert task.news.acquire(timeout=30)
    assert task.pushed == [
        (LINK, "https://mlflow.example.org/team/#/experiments/7/runs/abc?workflowType=machine_learning")
    ]


def test_a_task_without_an_mlflow_run_pushes_no_link(home: Home) -> None:
    """MLflow is away, or the model was there already."""
    task = Task()
    with links.mlflow_run_linked(task), RunRecorder(home, RunRecord(run_name("retrain", "manual__1"), "")):
        pass
    assert task.pushed == []


def test_an_airflow_that_does_not_take_the_link_does_not_fail_the_task(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """Its API server is away for a moment: the link is stored when the task ends."""
    task, asked = Task(), threading.Event()

    def refuse(**_: object) -> None:
        asked.set()
        raise ConnectionError("no answer")

    task.xcom_push = refuse  # type: ignore[method-assign, assignment]
    record = RunRecord(run_name("retrain", "manual__1"), "", mlflow_run="abc")
    with RunRecorder(home, record), links.mlflow_run_linked(task):
        assert asked.wait(30)
    assert "The link to the MLflow run is not there yet: no answer" in caplog.text
