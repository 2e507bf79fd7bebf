"""Runs in a real Airflow: triggered over its REST interface, run by its scheduler, on the built-in digits."""

import json
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from components.registry import promotion_log
from components.registry.client import Registry
from components.registry.model_version import ModelVersion
from pipeline.airflow import assets
from pipeline.airflow.project import Project
from pipeline.graph import STAGES
from tests.conftest import quick_run
from tests.support.airflow_server import SETTINGS, SILENCE, Json, Served, add_images, digits, of_asset
from tests.support.small_disk import mounted_on

pytestmark = pytest.mark.airflow

NAME = "digits-classifier"
SECONDS_TO_NOTICE = 60  # new images, on a busy machine


def registry(served: Served) -> Registry:
    return Registry(f"sqlite:///{served.home / 'mlflow.db'}")


def versions(served: Served) -> list[ModelVersion]:
    return registry(served).versions(NAME)


def champions(served: Served, name: str) -> list[str]:
    """The versions that became champion, in this order."""
    return [promotion.version for promotion in promotion_log.read(served.home / "promotions.jsonl", name)]


def events(served: Served, uri: str) -> list[Json]:
    return [event for event in served.api.get("assets/events")["asset_events"] if event["uri"] == uri]


def of_images(served: Served) -> list[str]:
    """The runs that new images started."""
    return [run["dag_run_id"] for run in served.runs("retrain") if of_asset(run)]


def test_a_killed_training_resumes(served: Served, first: str) -> None:
    """kill -9 in the middle of an epoch costs one try: the next resumes after the last finished epoch."""
    assert served.result(first, "train")["metrics"]["resumed_after_epoch"] in range(1, 8)
    assert served.made(first) == list(STAGES)
    assert "Process terminated by signal" in served.log(first, "train", 1)


def test_heartbeats_go_on_while_tensorflow_computes(served: Served, first: str) -> None:
    """Airflow receives heartbeats of a training all the while, even of a suspended one: they come from a process of
    their own, so a long training is not declared dead."""
    pauses = [later - earlier for earlier, later in pairwise(sorted(set(served.first_heartbeats)))]
    assert len(pauses) >= 3
    assert max(pauses).total_seconds() < SILENCE / 3


def test_the_champion_is_in_the_registry(served: Served, first: str) -> None:
    """The run's model is version 1, challenger and champion."""
    [version] = versions(served)
    assert set(version.aliases) == {"challenger", "champion"}
    assert served.result(first, "promote")["model"]["version"] == version.version == "1"


def test_each_task_pushes_one_small_value_beside_its_links(served: Served, first: str) -> None:
    """Key, digest, whether it was made, seconds and headline metrics: a few hundred bytes."""
    for stage in STAGES:
        done = served.result(first, stage)
        assert {"key", "digest", "made", "seconds", "metrics", "headline"} <= set(done)
        assert len(json.dumps(done)) < 2000
        pinned = {"settings"} if stage == "ingest" else set()
        assert {key for key in served.pushed(first, stage) if not key.startswith("_link_")} == {"return_value", *pinned}
    assert served.result(first, "evaluate")["metrics"]["accuracy"] > 0.9


def test_trainings_have_a_pool_of_one_slot(served: Served, first: str) -> None:
    """Two models never train at once; the scheduler has created the pool."""
    assert served.api.get("pools/training")["slots"] == 1
    pools = {name: task["pool"] for name, task in served.tasks(first).items()}
    assert pools.pop("train") == "training"
    assert set(pools.values()) == {"default_pool"}


def test_the_log_reads_as_on_the_command_line(served: Served, first: str) -> None:
    """Progress and the summary line of the stage stand in the task's log."""
    assert "epoch 8/8" in served.log(first, "train", 2)
    assert "[4/8] train" in served.log(first, "train", 2)
    assert "[5/8] evaluate   made in" in served.log(first, "evaluate")
    assert "Pre Execute" in served.first_running
    assert "Could not read served logs" not in served.first_running


def test_register_waits_for_mlflow(served: Served, first: str) -> None:
    """While MLflow is away `register` fails with what to do in its log; its next try succeeds."""
    log = served.log(first, "register")
    assert "MLflow" in log
    assert "the next try then registers the model again" in log
    assert "python -m" not in log
    assert "Traceback" not in log
    assert served.tasks(first)["export"]["try_number"] == 1


def test_one_record_and_one_mlflow_run_for_all_tasks(served: Served, first: str) -> None:
    """The tasks of a run, each a process of its own, leave what one `make pipeline` leaves."""
    record = served.record(first)
    assert record.state == "succeeded"
    assert [done.stage for done in record.stages] == list(STAGES)
    client = registry(served).client
    experiment = client.get_experiment_by_name(NAME)
    [run] = client.search_runs([experiment.experiment_id])
    assert (run.info.run_id, run.info.status) == (record.mlflow_run, "FINISHED")
    epochs = client.get_metric_history(record.mlflow_run, "val_loss")
    assert [metric.step for metric in epochs] == list(range(1, 9))  # although the training was killed and resumed


def test_links_lead_to_report_mlflow_run_and_version(served: Served, first: str) -> None:
    """Airflow serves the report to users who are signed in, and to nobody else."""
    links = served.links(first, "promote")
    record = served.record(first)
    run = f"/#/experiments/{record.mlflow_experiment}/runs/{record.mlflow_run}"
    assert links["MLflow run"].partition("?")[0].endswith(run)
    assert links["Model version"].partition("?")[0].endswith(f"/#/models/{NAME}/versions/1")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(links["Report"])  # noqa: S310
    assert b"<html" in served.api.read(links["Report"])
    with pytest.raises(urllib.error.HTTPError, match="404"):
        served.api.read(links["Report"].replace("report.html", "run.json"))


def test_the_promotion_is_reported(served: Served, first: str) -> None:
    """One line of JSON is kept and posted to the webhook, with the model, its accuracy and its links."""
    [posted] = [event for event in served.posted if event["event"] == "promoted" and event["run"] == first]
    assert posted["text"].startswith(f"{NAME} version 1 is champion with an accuracy of ")
    assert posted["model"] == {"name": NAME, "version": "1", "aliases": ["challenger", "champion"]}
    assert posted["accuracy"] > 0.9
    lines = (served.home / "notifications.jsonl").read_text().splitlines()
    assert posted in [json.loads(line) for line in lines]


def test_the_champion_is_an_asset(served: Served, first: str) -> None:
    """The promotion emitted an event of the champion's asset, with version, digest and accuracy."""
    [event] = events(served, f"models://{NAME}/champion")
    assert event["extra"]["version"] == "1"
    assert event["extra"]["digest"] == served.result(first, "train")["digest"]
    assert event["source_run_id"] == first


@dataclass
class Repeated:
    """The first run, cleared as a whole, and another one with the same settings, which waits for its end."""

    run: str
    other: str
    digests: dict[str, str]  # of the first run, before it was cleared
    mlflow_run: str  # the same


@pytest.fixture(scope="module")
def repeated(served: Served, first: str) -> Repeated:
    digests = {stage: served.result(first, stage)["digest"] for stage in STAGES}
    mlflow_run = served.record(first).mlflow_run
    served.clear(first, only_failed=False, reset_dag_runs=True)
    other = served.trigger(digits())
    served.succeeded(first)
    served.succeeded(other)
    return Repeated(first, other, digests, mlflow_run)


def test_equal_runs_reuse_every_artifact(served: Served, repeated: Repeated) -> None:
    """Runs with the same settings make nothing and no second version."""
    assert served.made(repeated.run) == []
    assert served.made(repeated.other) == []
    assert len(versions(served)) == 1


def test_make_pipeline_reuses_what_airflow_made(served: Served, repeated: Repeated) -> None:
    """The command line finds every artifact of the tasks."""
    answer = quick_run(served.home, *(part for n, v in SETTINGS.items() for part in ("--set", f"{n}={v}")))
    assert [stage["stage"] for stage in answer["stages"] if stage["made"]] == []


def test_clearing_a_whole_run_changes_nothing(served: Served, repeated: Repeated) -> None:
    """Every task of a cleared run is run again, to the same digests, in the same MLflow run, as the same version."""
    tasks = served.tasks(repeated.run)
    assert {stage: served.result(repeated.run, stage)["digest"] for stage in STAGES} == repeated.digests
    assert tasks["train"]["try_number"] == 3
    assert served.record(repeated.run).mlflow_run == repeated.mlflow_run
    assert len(versions(served)) == 1


def test_a_model_below_the_gate_fails_at_once(served: Served, refused: str) -> None:
    """`evaluate` fails after one try, with a sentence that says by how much; nothing is registered or promoted."""
    tasks = served.tasks(refused)
    assert (tasks["evaluate"]["state"], tasks["evaluate"]["try_number"]) == ("failed", 1)
    assert {tasks[stage]["state"] for stage in ("register", "export", "promote")} == {"upstream_failed"}
    log = served.log(refused, "evaluate")
    assert "points below the gate of 99.99 %" in log
    assert re.search(
        r"\*Trigger\* a run with train\.\w+=\S+, .*keep this run's ingest.source=digits, .*; report: http://\S+/report\.html",
        log,
    )
    assert "exc_type" not in log
    assert "python -m" not in log
    assert "--set" not in log
    assert set(served.levels(refused, "evaluate").values()) >= {"info", "error"}
    assert "points below the gate of 99.99 %" in served.shown(refused)["note"]
    assert served.record(refused).state == "refused"
    assert len(versions(served)) == 1
    assert champions(served, NAME) == ["1"]
    [posted] = served.until(lambda: [event for event in served.posted if event["run"] == refused])
    assert (posted["event"], posted["task"]) == ("failed", "evaluate")
    assert "99.99" in posted["error"]
    assert b"<html" in served.api.read(served.links(refused, "evaluate")["Report"])


def test_the_form_refuses_what_its_bounds_forbid(served: Served) -> None:
    """A value out of bounds or of the wrong type starts no run."""
    for wrong in ({"train.epochs": -1}, {"train.epochs": "many"}, {"train.schedule": "never"}):
        with pytest.raises(urllib.error.HTTPError, match=r"400|422"):
            served.trigger({**digits(), **wrong})


def test_wrong_settings_fail_the_first_task_with_all_problems(served: Served) -> None:
    """What the form cannot check `ingest` reports, every problem at once, after one try."""
    run = served.trigger({**digits(), "ingest.source": "digitz", "train.epoch": 3, "evaluate.mistake": 1})
    state, tasks = served.finished(run)
    assert state == "failed"
    assert (tasks["ingest"]["state"], tasks["ingest"]["try_number"]) == ("failed", 1)
    log = served.log(run, "ingest")
    assert "no setting is called 'train.epoch'; did you mean 'train.epochs'?" in log
    assert "no setting is called 'evaluate.mistake'; did you mean 'evaluate.mistakes'?" in log


def test_a_full_disk_is_reported_and_the_next_try_succeeds(served: Served, first: str) -> None:
    """The task reports in one sentence which disk is full, and is retried until there is space again."""
    folder = served.home / "artifacts" / "normalize"
    served.until(served.idle)  # the small disk hides what other runs made
    with mounted_on(folder, "16k"):
        run = served.trigger(digits(normalize__seed=1))
        served.until(lambda: served.failed(run, "normalize", 1), pause=0.1)
    served.until(lambda: served.tasks(run)["normalize"]["state"] == "success")
    served.mark_failed(run)
    assert re.search(rf"the disk of {served.home}\S* is full; free some space", served.log(run, "normalize"))


def test_images_dropped_into_the_folder_are_trained_on(served: Served, first: str) -> None:
    """When the missing folder appears, `retrain` runs by itself."""
    [run] = served.until(lambda: of_images(served))
    served.succeeded(run)
    done = served.result(run, "promote")
    assert (done["model"]["name"], done["model"]["version"]) == ("numbers-classifier", "1")
    [extra] = [event["extra"] for event in events(served, assets.images(Project()).uri)]
    assert extra["payload"]["source"] == str(served.images)


@pytest.fixture
def gained(served: Served, first: str) -> str:
    """The run that more images started: they are added once the run of the first ones is over."""
    [before] = served.until(lambda: of_images(served))
    served.succeeded(before)
    add_images(served.images, 60, first=30)
    [run] = served.until(lambda: [run for run in of_images(served) if run != before], seconds=SECONDS_TO_NOTICE)
    return run


def test_images_that_a_folder_gains_make_a_new_champion(served: Served, gained: str) -> None:
    """More images in the folder start a run within seconds that ends in a second version, which is champion."""
    served.succeeded(gained)
    assert served.made(gained) == list(STAGES)
    done = served.result(gained, "promote")
    assert (done["model"]["version"], done["model"]["aliases"]) == ("2", ["challenger", "champion"])
    assert champions(served, "numbers-classifier") == ["1", "2"]
    assert len(events(served, "models://numbers-classifier/champion")) == 2


@pytest.fixture
def by_child(served: Served, first: str) -> Iterator[None]:
    """The tasks run in child processes of schedule.python, and find neither model nor exports."""
    for stage in ("train", "evaluate", "export"):
        shutil.rmtree(served.home / "artifacts" / stage / served.result(first, stage)["key"])
    with served.setting(f'python = "{sys.executable}"'):
        yield


def test_tasks_run_in_an_interpreter_of_choice(served: Served, first: str, by_child: None) -> None:
    """A child process per task gives the same bytes as the run that was killed, this time undisturbed."""
    run = served.trigger(digits())
    served.succeeded(run)
    assert served.made(run) == ["train", "evaluate", "export"]
    assert served.result(run, "train")["metrics"]["resumed_after_epoch"] == 0
    assert [served.result(run, stage)["digest"] for stage in STAGES] == [
        served.result(first, stage)["digest"] for stage in STAGES
    ]
    assert "[4/8] train" in served.log(run, "train")
    assert len(versions(served)) == 1


def test_a_refusal_by_a_child_is_a_refusal(served: Served, refused: str) -> None:
    """The refused task, cleared and run by a child: its failure is permanent there too, with the same sentence."""
    with served.setting(f'python = "{sys.executable}"'):
        served.clear(refused, task_ids=["evaluate"], only_failed=True)
        served.until(lambda: served.tasks(refused)["evaluate"]["try_number"] == 2)
        assert served.finished(refused)[0] == "failed"
    evaluate = served.tasks(refused)["evaluate"]
    assert (evaluate["state"], evaluate["try_number"]) == ("failed", 2)
    assert "points below the gate of 99.99 %" in served.log(refused, "evaluate", 2)
    assert "*Trigger* a run with train." in served.log(refused, "evaluate", 2)


@dataclass
class Mended:
    """A run that was refused for its size, and both ways out of it."""

    run: str  # cleared, after the bound and the settings of the training were changed in the file
    other: str  # triggered with what the refusal advised
    log: str  # of the refusal


@pytest.fixture(scope="module")
def mended(served: Served, first: str) -> Mended:
    served.until(served.idle)  # the bound in the file is one for every run
    with served.edited("min_accuracy = 0.1", "min_accuracy = 0.1\nmax_bytes = 1"):
        run = served.trigger({"ingest.source": "digits", "train.seed": None})
        assert served.finished(run)[0] == "failed"
        log = served.log(run, "export")
        [(name, value)] = set(re.findall(r"\*Trigger\* a run with (gate\.max_bytes)=(\d+)", log))
        other = served.trigger({"ingest.source": "digits", name: int(value)})
        served.succeeded(other)
    with served.edited("epochs = 8", "epochs = 9"):
        served.clear(run, task_ids=["export", "approve", "promote"], only_failed=False, reset_dag_runs=True)
        served.succeeded(run)
    return Mended(run, other, log)


def test_advice_of_a_refusal_is_followed(served: Served, mended: Mended) -> None:
    """A run with the setting that the sentence names succeeds, on what the refused one has made."""
    assert "exc_type" not in mended.log
    assert served.made(mended.other) == []
    note = served.shown(mended.other)["note"]
    assert re.fullmatch(r"version 1 is champion already, \d+\.\d+ %", note)


def test_a_cleared_task_takes_a_new_bound_and_else_the_settings_of_its_run(served: Served, mended: Mended) -> None:
    """The file has no bound of the size any more, and other epochs: these are for the next run."""
    assert served.made(mended.run) == []
    assert served.record(mended.run).settings["train.epochs"] == 8
    assert "champion already" in served.shown(mended.run)["note"]


def test_the_conf_of_a_run_has_what_was_set(served: Served, mended: Mended) -> None:
    """Not the fields that were left empty."""
    assert served.shown(mended.run)["conf"] == {"ingest.source": "digits"}
