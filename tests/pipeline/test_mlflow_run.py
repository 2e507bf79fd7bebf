"""The MLflow run of a run of the pipeline, in a real database of MLflow."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from components.registry.client import Registry
from components.system.processes import end_with_parent
from pipeline import config
from pipeline.home import Home
from pipeline.mlflow_run import (
    KIND_TAG,
    close_abandoned,
    curves,
    delete_for_good,
    experiment_id,
    log_batch,
    log_curves,
    log_dataset,
    open_run,
)
from pipeline.run_record import RunRecord, RunRecorder
from tests.conftest import CLEAN, ROOT

PARAMS = config.load("", (), "digits", {})
STARTED = "2026-11-22T04:05:53Z"
HISTORY = [{"epoch": k, "loss": 1 / k, "val_loss": 1 / k} for k in (1, 2, 3)]


@pytest.fixture
def home(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("AIRFLOW_CTX_DAG_ID", raising=False)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    home = Home(tmp_path)
    home.prepare()
    return home


@pytest.fixture
def registry(home: Home) -> Registry:
    return Registry(home.tracking_uri)


def opened(registry: Registry, home: Home, record: RunRecord) -> Any:
    """MLflow's view of the run of *record*, whose id the record has from now on."""
    open_run(registry, PARAMS, home, record)
    return registry.client.get_run(record.mlflow_run)


def status(registry: Registry, record: RunRecord) -> str:
    return str(registry.client.get_run(record.mlflow_run).info.status)


def test_a_run_is_one_of_a_training_that_began_when_the_pipeline_did(registry: Registry, home: Home) -> None:
    """MLflow's UI sorts it in by the kind of its experiment, and shows who ran what, from which commit, since when."""
    run = opened(registry, home, RunRecord("night", STARTED, source="digits", git_commit="abc"))
    experiment = registry.client.get_experiment(run.info.experiment_id)
    assert experiment.tags[KIND_TAG] == "custom_model_development"
    assert (run.info.status, run.info.start_time, run.info.run_name) == ("RUNNING", 1795320353000, "night")
    tags = run.data.tags
    assert "@" in tags["mlflow.user"]
    assert (tags["mlflow.source.name"], tags["mlflow.source.type"]) == ("python -m pipeline", "LOCAL")
    assert (tags["mlflow.source.git.commit"], tags["source"]) == ("abc", "digits")


def test_a_scheduled_run_names_its_dag(registry: Registry, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its source is a job of Airflow, not a command."""
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "retrain")
    tags = opened(registry, home, RunRecord("night", STARTED)).data.tags
    assert (tags["mlflow.source.name"], tags["mlflow.source.type"]) == ("Airflow: retrain", "JOB")


def test_the_kind_that_a_user_gave_an_experiment_stays(registry: Registry, home: Home) -> None:
    """An experiment of an earlier release, which has none, gets it."""
    name = PARAMS.register.experiment
    identity = registry.client.create_experiment(name)
    assert experiment_id(registry, PARAMS, home) == identity
    assert registry.client.get_experiment(identity).tags[KIND_TAG] == "custom_model_development"
    registry.client.set_experiment_tag(identity, KIND_TAG, "finetuning")
    experiment_id(registry, PARAMS, home)
    assert registry.client.get_experiment(identity).tags[KIND_TAG] == "finetuning"


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("ended", ["KILLED", "FAILED", ""])
def test_the_next_try_of_a_run_takes_its_mlflow_run_up(
    registry: Registry, home: Home, ended: str, recorded: bool
) -> None:
    """By the id in its record, or by its name where it was killed before that was saved; it is running again."""
    first = opened(registry, home, RunRecord("night", STARTED))
    if ended:
        registry.client.set_terminated(first.info.run_id, ended)
        registry.client.set_tag(first.info.run_id, "verdict", ended.lower())
    again = RunRecord("night", STARTED, mlflow_run=first.info.run_id if recorded else "")
    taken_up = opened(registry, home, again)
    assert (taken_up.info.run_id, taken_up.info.status) == (first.info.run_id, "RUNNING")
    assert taken_up.data.tags["verdict"] == "running"


@pytest.mark.parametrize("gone", ["deleted", "of another database"])
def test_a_run_that_mlflow_no_longer_has_gets_another(registry: Registry, home: Home, gone: str) -> None:
    """A user deleted it in MLflow's UI, or the database was wiped: the next try neither fails nor writes to nothing."""
    record = RunRecord("night", STARTED, mlflow_run="0" * 32)
    if gone == "deleted":
        open_run(registry, PARAMS, home, record)
        registry.client.delete_run(record.mlflow_run)
    before = record.mlflow_run
    assert opened(registry, home, record).info.run_id != before
    assert status(registry, record) == "RUNNING"


def test_a_resumed_training_logs_no_epoch_twice(registry: Registry, home: Home) -> None:
    """Killed in its third epoch, it is resumed with the history of the first two, which MLflow has."""
    record = RunRecord("night", STARTED)
    opened(registry, home, record)
    for history in (HISTORY[:2], HISTORY, HISTORY):
        log_curves(registry.client, record.mlflow_run, curves(history))
    logged = registry.client.get_metric_history(record.mlflow_run, "val_loss")
    assert [(metric.step, metric.value) for metric in logged] == [(1, 1.0), (2, 0.5), (3, 0.3333333)]


def test_more_settings_than_mlflow_takes_in_one_request_are_logged(registry: Registry, home: Home) -> None:
    """It takes a hundred."""
    record = RunRecord("night", STARTED)
    opened(registry, home, record)
    log_batch(registry.client, record.mlflow_run, [], {f"p{k}": str(k) for k in range(230)}, {})
    assert len(registry.client.get_run(record.mlflow_run).data.params) == 230


@pytest.mark.parametrize(("source", "kind"), [("mnist", "mnist"), ("tfds:mnist", "tfds"), ("/data/it's", "local")])
def test_the_images_are_the_dataset_of_the_run(
    registry: Registry, home: Home, tmp_path: Path, source: str, kind: str
) -> None:
    """Digest, source, shape, classes and number by split; logged again, as by a next try, it is one dataset."""
    data = {"name": "nuts", "shape": [8, 8, 3], "classes": ["bolt", "nut"], "images": {"train": 90, "test": 10}}
    (tmp_path / "data.json").write_text(json.dumps(data))
    normalize: Any = SimpleNamespace(path=tmp_path, digest="f" * 64)
    record = RunRecord("night", STARTED)
    opened(registry, home, record)
    for _ in range(2):
        log_dataset(registry.client, record.mlflow_run, normalize, source)
    [logged] = registry.client.get_run(record.mlflow_run).inputs.dataset_inputs
    dataset = logged.dataset
    assert (dataset.name, dataset.digest, dataset.source_type) == ("nuts", "f" * 16, kind)
    assert json.loads(dataset.source) == {"uri": source}
    profile = json.loads(dataset.profile)
    assert profile["images"] == {"train": 90, "test": 10, "all": 100}
    assert profile["classes"] == ["bolt", "nut"]


RUN = """
import sys, time
from pathlib import Path
from pipeline import config
from pipeline.home import Home
from pipeline.run_record import RunRecord, RunRecorder
with RunRecorder(Home(Path(sys.argv[1])), RunRecord("killed", sys.argv[2], mlflow_run=sys.argv[3])):
    print("running", flush=True)
    time.sleep(600)
"""


def test_a_run_whose_process_was_killed_is_closed_once_it_is_gone(registry: Registry, home: Home) -> None:
    """Not while it lives, and as killed at its last sign of life, not when that is noticed.

    A run that no pipeline made, such as of a notebook, is left alone.
    """
    notebook = registry.client.create_run(registry.client.create_experiment("notebook")).info.run_id
    record = RunRecord("killed", STARTED)
    opened(registry, home, record)
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(home.root), STARTED, record.mlflow_run],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=CLEAN,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - it only calls the system
    )
    assert process.stdout
    with process.stdout:
        assert process.stdout.readline() == b"running\n"
        close_abandoned(registry.client, home)
        assert status(registry, record) == "RUNNING"
        log_curves(registry.client, record.mlflow_run, curves(HISTORY))
        process.kill()
        process.wait()
    close_abandoned(registry.client, home)
    closed = registry.client.get_run(record.mlflow_run)
    assert (closed.info.status, closed.data.tags["verdict"]) == ("KILLED", "killed")
    assert registry.client.get_run(notebook).info.status == "RUNNING"
    assert closed.info.end_time == registry.client.get_metric_history(record.mlflow_run, "loss")[-1].timestamp


def test_runs_of_other_workspaces_and_between_two_stages_are_left_alone(registry: Registry, home: Home) -> None:
    """A server may have the runs of many workspaces, and a task of Airflow may wait hours for the next."""
    elsewhere, waiting = RunRecord("night", STARTED), RunRecord("waiting", STARTED, state="unfinished")
    opened(registry, home, elsewhere)
    opened(registry, home, waiting)
    for record in (waiting, RunRecord("night", STARTED, mlflow_run="another", state="killed")):
        with RunRecorder(home, record):
            pass
    close_abandoned(registry.client, home)
    assert [status(registry, record) for record in (elsewhere, waiting)] == ["RUNNING", "RUNNING"]


def test_a_run_that_nobody_took_up_for_a_day_is_closed(
    registry: Registry, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last stage ended well, and no other began."""
    record = RunRecord("waiting", STARTED, state="unfinished")
    opened(registry, home, record)
    with RunRecorder(home, record):
        pass
    now = time.time()
    monkeypatch.setattr("pipeline.mlflow_run.time.time", lambda: now + 90_000)
    close_abandoned(registry.client, home)
    assert status(registry, record) == "KILLED"


def test_what_a_user_deleted_in_mlflow_goes_for_good(registry: Registry, home: Home) -> None:
    """With its files, once it has been deleted for so long; but not the run of a registered version."""
    records = [RunRecord(name, STARTED) for name in ("old", "of a version", "not deleted")]
    files = [Path(opened(registry, home, record).info.artifact_uri.removeprefix("file://")) for record in records]
    for record in records:
        registry.client.log_text(record.mlflow_run, "a file", "file.txt")
    for record in records[:2]:
        registry.client.delete_run(record.mlflow_run)
    delete_for_good(registry, 60, {records[1].mlflow_run})
    assert all(file.is_dir() for file in files)
    delete_for_good(registry, -60, {records[1].mlflow_run})
    assert [file.is_dir() for file in files] == [False, True, True]
    with pytest.raises(MlflowException, match="not found"):
        registry.client.get_run(records[0].mlflow_run)
    assert [status(registry, record) for record in records[1:]] == ["RUNNING", "RUNNING"]


def test_a_registry_elsewhere_is_left_to_its_operator(home: Home) -> None:
    """Nor is one looked for that was never made."""
    delete_for_good(Registry("http://127.0.0.1:1"), -60, set())
    delete_for_good(Registry(f"sqlite:///{home.root}/none.db"), -60, set())
    assert not (home.root / "none.db").exists()
