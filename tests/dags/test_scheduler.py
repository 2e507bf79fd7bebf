"""Runs in a real Airflow: started over its REST interface, done by its scheduler, on the built-in digits."""

import json
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.lookups import ModelVersion
from components.registry import Registry
from pipeline.graph import STAGES
from pipeline.runs import load
from pipeline.scheduling.assets import IMAGES
from tests.conftest import quick_run
from tests.dags.served import Served, digits, of_asset, pictures

pytestmark = pytest.mark.airflow

NAME = "digits-classifier"


def registry(served: Served) -> Registry:
    return Registry(f"sqlite:///{served.home / 'mlflow.db'}")


def versions(served: Served) -> list[ModelVersion]:
    return registry(served).versions(NAME)


def digest_of_train(home: Path) -> str:
    """The digest of the undisturbed training of the session's finished run."""
    record = next(record for folder in (home / "runs").iterdir() if (record := load(folder)))
    return str(next(done["digest"] for done in record.stages if done["stage"] == "train"))


def test_a_killed_training_goes_on_to_the_same_model(served: Served, first: str, finished: Path) -> None:
    """kill -9 in mid-epoch costs one try: the next goes on after the last whole epoch and ends with the same bytes."""
    train = served.done(first, "train")
    assert train["metrics"]["resumed_after_epoch"] == 1
    assert train["digest"] == digest_of_train(finished)
    assert served.made(first) == list(STAGES)


def test_heartbeats_go_on_while_tensorflow_computes(served: Served, first: str) -> None:
    """Airflow hears of a training every two seconds, so it does not take a long one for dead."""
    assert len(served.heard) >= 3


def test_the_champion_is_in_the_registry(served: Served, first: str) -> None:
    """The run's model is version 1, challenger and champion."""
    [version] = versions(served)
    assert set(version.aliases) == {"challenger", "champion"}
    assert served.done(first, "promote")["model"]["version"] == version.version == "1"


def test_each_task_pushes_one_small_value_beside_its_links(served: Served, first: str) -> None:
    """Key, digest, whether it was made, seconds and headline metrics: a few hundred bytes."""
    for stage in STAGES:
        done = served.done(first, stage)
        assert {"key", "digest", "made", "seconds", "metrics", "headline"} <= set(done)
        assert len(json.dumps(done)) < 2000
        assert {key for key in served.pushed(first, stage) if not key.startswith("_link_")} == {"return_value"}
    assert served.done(first, "evaluate")["metrics"]["accuracy"] > 0.9


def test_the_log_reads_as_on_the_command_line(served: Served, first: str) -> None:
    """Progress and the summary line of the stage stand in the task's log."""
    assert "epoch 2/2" in served.log(first, "train", 2)
    assert "[4/8] train" in served.log(first, "train", 2)
    assert "[5/8] evaluate   made in" in served.log(first, "evaluate")


def test_register_waits_for_mlflow(served: Served, first: str) -> None:
    """While MLflow is away `register` fails with the way out in its log; its next try goes on where it was."""
    log = served.log(first, "register")
    assert "MLflow" in log
    assert "Traceback" not in log
    assert served.tasks(first)["export"]["try_number"] == 1


def test_one_record_and_one_mlflow_run_for_all_tasks(served: Served, first: str) -> None:
    """The tasks of a run, each a process of its own, leave what one `make pipeline` leaves."""
    record = served.record(first)
    assert record.state == "succeeded"
    assert [done["stage"] for done in record.stages] == list(STAGES)
    client = registry(served).client
    experiment = client.get_experiment_by_name(NAME)
    [run] = client.search_runs([experiment.experiment_id])
    assert (run.info.run_id, run.info.status) == (record.mlflow_run, "FINISHED")


def test_links_lead_to_report_mlflow_run_and_version(served: Served, first: str) -> None:
    """The report is served by Airflow to those who are signed in, and to nobody else."""
    links = served.links(first, "promote")
    record = served.record(first)
    assert links["MLflow run"].endswith(f"/#/runs/{record.mlflow_run}")
    assert links["Model version"].endswith(f"/#/models/{NAME}/versions/1")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(links["Report"])  # noqa: S310
    assert b"<html" in served.api.read(links["Report"])
    with pytest.raises(urllib.error.HTTPError, match="404"):
        served.api.read(links["Report"].replace("report.html", "run.json"))


def test_the_promotion_is_told(served: Served, first: str) -> None:
    """One line of JSON is kept and posted to the webhook, with the model, its accuracy and the way to them."""
    [told] = [event for event in served.posted if event["event"] == "promoted" and event["run"] == first]
    assert told["model"] == {"name": NAME, "version": "1", "aliases": ["challenger", "champion"]}
    assert told["accuracy"] > 0.9
    lines = (served.home / "notifications.jsonl").read_text().splitlines()
    assert told in [json.loads(line) for line in lines]


def test_the_champion_is_an_asset(served: Served, first: str) -> None:
    """The promotion made an event of the champion's asset, with version, digest and accuracy."""
    events = served.api.get("assets/events")["asset_events"]
    [event] = [event for event in events if event["uri"] == f"models://{NAME}/champion"]
    assert event["extra"]["version"] == "1"
    assert event["extra"]["digest"] == served.done(first, "train")["digest"]
    assert event["source_run_id"] == first


def test_two_runs_at_once_take_what_is_there(served: Served, first: str) -> None:
    """Both DAGs, started together with the same settings, reuse everything and make no second version."""
    dags = ("retrain", "retrain_on_new_data")
    runs = {dag: served.trigger(digits(), dag) for dag in dags}
    for dag, run in runs.items():
        served.succeeded(run, dag)
        assert served.made(run, dag) == []
    assert len(versions(served)) == 1


def test_make_pipeline_takes_what_airflow_made(served: Served, first: str) -> None:
    """The command line finds every artifact of the tasks."""
    answer = quick_run(served.home)
    assert [stage["stage"] for stage in answer["stages"] if stage["made"]] == []


def test_clearing_a_whole_run_changes_nothing(served: Served, first: str) -> None:
    """Every task of a cleared run is done again, to the same digests, in the same MLflow run, as the same version."""
    before = {stage: served.done(first, stage)["digest"] for stage in STAGES}
    mlflow_run = served.record(first).mlflow_run
    served.clear(first, only_failed=False, reset_dag_runs=True)
    tasks = served.succeeded(first)
    assert {stage: served.done(first, stage)["digest"] for stage in STAGES} == before
    assert tasks["train"]["try_number"] == 3
    assert served.record(first).mlflow_run == mlflow_run
    assert len(versions(served)) == 1


def refused(served: Served) -> str:
    run = served.trigger(digits(gate__min_accuracy=0.9999))
    state, tasks = served.finished(run)
    assert state == "failed"
    assert (tasks["evaluate"]["state"], tasks["evaluate"]["try_number"]) == ("failed", 1)
    assert {tasks[stage]["state"] for stage in ("register", "export", "promote")} == {"upstream_failed"}
    return run


def test_a_model_below_the_gate_fails_at_once(served: Served, first: str) -> None:
    """`evaluate` fails after one try, with the sentence that says by how much; nothing is registered or promoted."""
    before = (served.home / "promotions.jsonl").read_bytes()
    run = refused(served)
    assert "below" in served.log(run, "evaluate")
    assert "99.99" in served.log(run, "evaluate")
    assert served.record(run).state == "refused"
    assert len(versions(served)) == 1
    assert (served.home / "promotions.jsonl").read_bytes() == before
    [told] = [event for event in served.posted if event["run"] == run]
    assert (told["event"], told["task"]) == ("failed", "evaluate")
    assert "99.99" in told["error"]
    assert b"<html" in served.api.read(served.links(run, "evaluate")["Report"])


def test_the_form_refuses_what_its_bounds_forbid(served: Served) -> None:
    """A value out of bounds or of the wrong type starts no run."""
    for wrong in ({"train.epochs": 0}, {"train.epochs": "many"}, {"train.model": "resnet"}):
        with pytest.raises(urllib.error.HTTPError, match=r"400|422"):
            served.trigger({**digits(), **wrong})


def test_wrong_settings_fail_the_first_task_with_all_problems(served: Served) -> None:
    """What the form cannot know is told by `ingest`, every problem at once, after one try."""
    run = served.trigger({**digits(), "ingest.source": "digitz", "train.epoch": 3, "evaluate.mistake": 1})
    state, tasks = served.finished(run)
    assert state == "failed"
    assert (tasks["ingest"]["state"], tasks["ingest"]["try_number"]) == ("failed", 1)
    log = served.log(run, "ingest")
    assert "no setting is called 'train.epoch'; did you mean 'train.epochs'?" in log
    assert "no setting is called 'evaluate.mistake'; did you mean 'evaluate.mistakes'?" in log


@pytest.fixture
def by_child(served: Served) -> Iterator[None]:
    """The tasks run in child processes of an interpreter of choice, and find neither model nor exports."""
    for stage in ("train", "evaluate", "export"):
        shutil.rmtree(served.home / "artifacts" / stage)
    before = served.settings.read_text()
    served.settings.write_text(before + f'python = "{sys.executable}"\n')
    yield
    served.settings.write_text(before)


def test_tasks_run_in_an_interpreter_of_choice(served: Served, first: str, finished: Path, by_child: None) -> None:
    """A child process per task: it dies with the task, the next try goes on from it, a refusal is told alike."""
    run = served.killed_while_training(digits())
    tasks = served.succeeded(run)
    assert tasks["train"]["try_number"] == 2
    assert served.made(run) == ["train", "evaluate", "export"]
    assert served.done(run, "train")["metrics"]["resumed_after_epoch"] == 1
    assert served.done(run, "train")["digest"] == digest_of_train(finished)
    assert "[4/8] train" in served.log(run, "train", 2)
    assert len(versions(served)) == 1
    assert "99.99" in served.log(refused(served), "evaluate")


def test_images_dropped_into_the_folder_are_trained_on(served: Served, first: str) -> None:
    """The folder that was missing is told of once; when it appears, `retrain_on_new_data` runs by itself."""
    missing = [event for event in served.posted if event["dag"] == "watch_data"]
    assert len(missing) <= 1
    pictures(served.images, 30)
    [run] = served.until(lambda: [run for run in served.runs("retrain_on_new_data") if of_asset(run)])
    served.succeeded(run["dag_run_id"], "retrain_on_new_data")
    done = served.done(run["dag_run_id"], "promote", "retrain_on_new_data")
    assert done["model"]["name"] == "images-classifier"
    events = served.api.get("assets/events")["asset_events"]
    [event] = [event for event in events if event["uri"] == IMAGES.uri]
    assert event["extra"]["digest"] == served.done(run["dag_run_id"], "ingest", "retrain_on_new_data")["digest"]
