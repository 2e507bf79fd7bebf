"""The tasks of the DAG housekeeping, without a running Airflow."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from pipeline.airflow import cleaning
from pipeline.airflow.cleaning import CleanMetadata, CleanWorkspace
from pipeline.home import Home
from tests.pipeline.test_garbage import aged

CONTEXT = cast(
    "Context",
    {"ti": SimpleNamespace(dag_id="housekeeping", run_id="manual", try_number=1, max_tries=3), "params": {}},
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    home = Home(tmp_path)
    home.prepare()
    return home


def test_the_workspace_is_cleaned_by_the_settings(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own; its last line says how long the disk lasts."""
    monkeypatch.setenv("PIPELINE_SCHEDULE_KEEP_DAYS", "2")
    for name, days in (("hashes-1.json", 3), ("hashes-2.json", 1)):
        (home.cache / name).touch()
        aged(home.cache / name, 24 * days)
    said = CleanWorkspace(task_id="workspace").execute(CONTEXT)
    assert said.endswith("how long they last is known after the next housekeeping")
    assert not (home.cache / "hashes-1.json").exists()
    assert (home.cache / "hashes-2.json").exists()


def test_a_command_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output is in the log."""
    monkeypatch.setenv("PIPELINE_SCHEDULE_PYTHON", "/bin/false")
    with pytest.raises(AirflowException, match="-m pipeline gc ended with exit status 1; see the log above"):
        CleanWorkspace(task_id="workspace").execute(CONTEXT)


def test_a_database_that_no_task_sees_is_left_to_its_operator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Airflow hides the variable with its address from tasks; nothing is made in its place."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "airflow-db-not-allowed:///")
    with pytest.raises(AirflowSkipException, match="clean it by airflow db clean"):
        CleanMetadata(task_id="metadata").execute(CONTEXT)
    assert not (tmp_path / "elsewhere" / "airflow.db").exists()


def test_only_tables_that_airflow_has_are_cleaned() -> None:
    """Names that a version of Airflow does not know would be refused; what still watches is not among them."""
    from airflow.utils.db_cleanup import config_dict

    assert set(cleaning.TABLES) - {"celery_taskmeta", "celery_tasksetmeta"} <= set(config_dict)
    assert not {"trigger", "dag", "dag_version"} & set(cleaning.TABLES)
    assert sys.modules["pipeline.airflow.cleaning"] is cleaning
