"""The DAG reproduce_champion: there where it has a schedule, and red where the champion is another model."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from pipeline.airflow import retraining
from pipeline.airflow.project import Project
from pipeline.airflow.reproduction import Reproduce

CONTEXT = cast(
    "Context",
    {"ti": SimpleNamespace(dag_id="reproduce_champion", run_id="manual", try_number=1, max_tries=3), "params": {}},
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PIPELINE_CONFIG", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_the_dag_is_there_where_it_has_a_schedule(tmp_path: Path) -> None:
    """Off by default; its task has the time and the place of a training."""
    (tmp_path / "usual.toml").write_text('[ingest]\nsource = "digits"\n')
    assert "usual_reproduce_champion" not in {dag.dag_id for dag in retraining("usual.toml")}
    (tmp_path / "weekly.toml").write_text(
        '[ingest]\nsource = "digits"\n[schedule]\nreproduce = "0 2 * * 6"\ntrain_hours = 7\ntrain_queue = "big"\n'
    )
    dag = {dag.dag_id: dag for dag in retraining("weekly.toml")}["weekly_reproduce_champion"]
    assert dag.timetable.expression == "0 2 * * 6"  # type: ignore[union-attr]
    task = dag.get_task("reproduce")
    assert task.execution_timeout is not None
    assert (task.execution_timeout.total_seconds(), task.queue) == (7 * 3600, "big")


def ended(folder: Path, status: int, **answer: str) -> Reproduce:
    """The task, with a program for schedule.python that answers as a reproduction does, as a training takes long."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer)}\nEND\nexit {status}\n")
    program.chmod(0o755)
    settings = dict(Project().settings) | {"schedule.python": str(program), "register.name": "digits-classifier"}
    return Reproduce(task_id="reproduce", project=Project("", "", settings))


def test_a_champion_that_was_made_again_is_reported(tmp_path: Path) -> None:
    answer = {"grade": "exact", "sentence": "train equal"}
    assert ended(tmp_path, 0, **answer).execute(CONTEXT) == answer


@pytest.mark.parametrize("status", [3, 4])
def test_another_model_is_a_failure_that_no_retry_cures(tmp_path: Path, status: int) -> None:
    task = ended(tmp_path, status, grade="none", sentence="train differs: 3 threads here, 2 then")
    with pytest.raises(AirflowFailException, match="was not made again: train differs: 3 threads here, 2 then"):
        task.execute(CONTEXT)


def test_what_cannot_be_had_is_a_failure_that_no_retry_cures(tmp_path: Path) -> None:
    """Also where a command that does not begin, such as one of an older version, leaves no answer but its status."""
    task = ended(tmp_path, 2, error="ConfigError", text="commit 0123456789ab is gone from this repository")
    with pytest.raises(AirflowFailException, match="commit 0123456789ab is gone"):
        task.execute(CONTEXT)
    with pytest.raises(AirflowFailException, match="reproduce ended with exit status 2; see the log above"):
        ended(tmp_path, 2).execute(CONTEXT)


def test_a_wrong_variable_fails_at_once_and_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the command itself: it is noticed before anything of the champion is read."""
    task = Reproduce(task_id="reproduce", project=Project())
    monkeypatch.setenv("PIPELINE_HOEM", str(tmp_path))
    with pytest.raises(AirflowFailException, match="PIPELINE_HOEM"):
        task.execute(CONTEXT)


def test_packages_that_are_out_of_reach_are_tried_again(tmp_path: Path) -> None:
    task = ended(tmp_path, 1, error="Unavailable", text="the packages cannot be installed")
    with pytest.raises(AirflowException, match="the packages cannot be installed") as raised:
        task.execute(CONTEXT)
    assert not isinstance(raised.value, AirflowFailException)


def test_without_a_champion_it_fails_at_once(tmp_path: Path) -> None:
    """By the command itself, in a workspace where nothing was registered."""
    settings = dict(Project().settings) | {"register.name": "digits-classifier"}
    task = Reproduce(task_id="reproduce", project=Project("", "", settings))
    with pytest.raises(AirflowFailException, match="no model is called digits-classifier"):
        task.execute(CONTEXT)
