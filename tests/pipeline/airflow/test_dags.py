"""The DAG files as Airflow reads them: what they declare, and what reading them costs."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.settings.sections import Schedule
from pipeline.airflow.image_trigger import ImagesTrigger
from pipeline.airflow.params_form import NOT_OF_A_RUN
from pipeline.config import SETTINGS
from pipeline.graph import STAGES, edges
from tests.conftest import CLEAN, ROOT

# Reads the folder dags/ under one environment after the other, each a line of standard input.
READ = """
import json, os, sys, time
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

def facts(dag):
    return {
        "doc": dag.doc_md, "tags": sorted(dag.tags), "catchup": dag.catchup, "runs": dag.max_active_runs,
        "timetable": DagSerialization.to_dict(dag)["dag"]["timetable"],
        "params": {name: dag.params.get_param(name).schema for name in dag.params},
        "described": {name: dag.params.get_param(name).description for name in dag.params},
        "tasks": {
            task.task_id: {
                "doc": task.doc_md, "owner": task.owner, "retries": task.retries,
                "after": sorted(task.upstream_task_ids), "queue": task.queue, "executor": task.executor_config,
                "pool": task.pool, "params": list(task.params), "at_once": task.max_active_tis_per_dag,
                "timeout": task.execution_timeout.total_seconds(), "backoff": task.retry_exponential_backoff,
                "waits": [
                    task.retry_policy.evaluate(OSError(), number, task.retries).retry_delay.total_seconds()
                    for number in range(1, task.retries + 1)
                ],
                "delay": task.retry_delay.total_seconds(),
                "links": sorted(link.name for link in task.operator_extra_links),
                "outlets": [str(outlet.name) for outlet in task.outlets],
            } for task in dag.tasks
        },
    }

before, bags = dict(os.environ), []
for line in sys.stdin:
    os.environ.clear()
    os.environ.update(before | json.loads(line))
    start = time.process_time()
    bag = DagBag(dag_folder="dags", load_op_links=False)
    seconds = time.process_time() - start
    modules = sorted(sys.modules)
    dags = {name: facts(dag) for name, dag in bag.dags.items()}
    bags.append({"errors": bag.import_errors, "seconds": seconds, "modules": modules, "dags": dags})
json.dump(bags, sys.stdout)
"""
HEAVY = {"tensorflow", "keras", "numpy", "mlflow", "PIL"}

Bag = dict[str, Any]  # what Airflow read: as printed by READ


def read(home: Path, *environments: dict[str, str]) -> list[Bag]:
    """What Airflow reads in the folder dags/ under each of *environments*, in a process of its own."""
    own = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": "dags",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", READ],
        cwd=ROOT,
        env={**CLEAN, **own},
        input="".join(json.dumps(environment) + "\n" for environment in environments),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    bags: list[Bag] = json.loads(done.stdout.splitlines()[-1])
    return bags


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bag]:
    """The DAGs by default; of a folder, with a schedule and a wrong setting; with queues; with a wrong schedule."""
    folder = tmp_path_factory.mktemp("dags")
    settings, wrong = folder / "settings.toml", folder / "wrong.toml"
    settings.write_text(
        f'[ingest]\nsource = "{folder}/images"\n[train]\nepochs = 5\nbatch_size = "many"\n'
        '[schedule]\ncron = "0 3 * * 1"\ntimezone = "Europe/Berlin"\n'
        "retries = 7\nretry_seconds = 9\ntrain_hours = 5\ntask_hours = 2\n"
    )
    wrong.write_text('[schedule]\ncron = "on sundays"\n')
    queues = {"LIGHT_QUEUE": "light", "TRAIN_QUEUE": "train", "TRAIN_POD": "/pods/train.yaml", "TRAIN_POOL": "gpu"}
    environments = {
        "default": {},
        "folder": {"PIPELINE_CONFIG": str(settings)},
        "by task": {"PIPELINE_CONFIG": str(settings), "PIPELINE_SCHEDULE_WATCH_SECONDS": "0"},
        "queues": {f"PIPELINE_SCHEDULE_{name}": value for name, value in queues.items()},
        "by hand": {"PIPELINE_SCHEDULE_CRON": "", "PIPELINE_INGEST_SOURCE": "digits"},
        "wrong cron": {"PIPELINE_CONFIG": str(wrong)},
        "wrong zone": {"PIPELINE_SCHEDULE_TIMEZONE": "Europe/Berlim"},
        "never": {"PIPELINE_SCHEDULE_CRON": "0 0 30 2 *", "PIPELINE_SCHEDULE_WATCH": "0 0 3 * * *"},
    }
    return dict(zip(environments, read(folder, *environments.values()), strict=True))


@pytest.fixture
def bag(bags: dict[str, Bag]) -> Bag:
    return bags["default"]


@pytest.fixture
def folder_bag(bags: dict[str, Bag]) -> Bag:
    return bags["folder"]


def kind(dag: dict[str, Any]) -> str:
    """The class of its timetable."""
    return str(dag["timetable"]["__type"]).rpartition(".")[2]


def is_watched(dag: dict[str, Any]) -> bool:
    """Whether the triggerer watches the images that the DAG is scheduled on."""
    return ImagesTrigger.__name__ in json.dumps(dag["timetable"])


def timetable(dag: dict[str, Any]) -> dict[str, Any]:
    """When it runs by the clock, beside the events of assets."""
    own: dict[str, Any] = dag["timetable"]["__var"]
    return dict(own["timetable"]["__var"]) if "timetable" in own else own


def test_every_file_is_read_without_an_error(bag: Bag) -> None:
    """Airflow finds the DAGs of the settings, and each can be written to its database."""
    assert bag["errors"] == {}
    assert {"retrain", "watch_data"} <= set(bag["dags"])
    assert all(dag["timetable"] for dag in bag["dags"].values())  # read from what is stored there


def test_reading_the_dags_loads_nothing_heavy(bag: Bag) -> None:
    """Neither a library that computes nor a stage is imported, so reading the DAG files costs little processor time."""
    assert not HEAVY & {name.partition(".")[0] for name in bag["modules"]}
    assert not {f"components.{stage}.stage" for stage in STAGES} & set(bag["modules"])
    assert bag["seconds"] < 2  # the import of Airflow included


def test_the_tasks_are_the_stages_of_the_graph(bag: Bag) -> None:
    """One task per stage, and an edge for each edge of the graph; a person may be asked before `promote`."""
    tasks = bag["dags"]["retrain"]["tasks"]
    assert list(tasks) == [*list(STAGES)[:-1], "approve", "promote"]
    graph = {(before, after if after != "promote" else "approve") for before, after in edges()}
    assert {(before, task) for task in tasks for before in tasks[task]["after"]} == graph | {("approve", "promote")}


def test_each_task_says_what_it_is_and_when_to_give_up(bag: Bag) -> None:
    """Every task has a text, an owner, a timeout, and retries with growing waits."""
    for name, dag in bag["dags"].items():
        assert dag["doc"]
        assert "pipeline" in dag["tags"]
        assert not dag["catchup"]
        assert dag["runs"] == 1
        for task in dag["tasks"].values():
            assert task["doc"]
            assert task["owner"] == "mlops"
            assert task["retries"] == 3
            assert (task["backoff"], task["waits"]) == (0, [60, 120, 240])
            assert task["links"] == ([] if name == "housekeeping" else ["MLflow run", "Model version", "Report"])


def test_the_fields_of_the_form_are_not_copied_into_each_task(bag: Bag) -> None:
    """Which would be half of the time that reading the DAG takes; a run merges them itself."""
    assert {name: task["params"] for name, task in bag["dags"]["retrain"]["tasks"].items() if task["params"]} == {}


def test_the_form_has_every_setting_of_a_run(bag: Bag) -> None:
    """Each field carries type, bounds, choices and help of its setting; an empty one is allowed."""
    dag = bag["dags"]["retrain"]
    assert set(dag["params"]) == {name for name in SETTINGS if name.partition(".")[0] not in NOT_OF_A_RUN} | {"force"}
    epochs, model = dag["params"]["train.epochs"], dag["params"]["train.model"]
    assert (epochs["type"], epochs["minimum"], epochs["maximum"]) == (["null", "integer"], 0, 10_000)
    assert model["type"] == ["null", "string"]
    assert dag["params"]["train.optimizer"]["enum"] == ["adam", "adamw", "sgd", None]
    assert all(SETTINGS[name].metadata["help"] in dag["described"][name] for name in dag["params"].keys() - {"force"})


def test_the_form_suggests_what_there_is(bag: Bag) -> None:
    """Sources and networks by name, of which a network that does not exist starts no run; stages to run again."""
    params = bag["dags"]["retrain"]["params"]
    assert {"auto", "mnist", "digits"} <= set(params["ingest.source"]["examples"])
    assert {"cnn_bn", "dense"} <= set(params["train.model"]["examples"])
    legal, wrong = ("dense", "my_package.models:network"), ("dence", "network:", "", "a:b c")
    assert all(re.search(params["train.model"]["pattern"], name) for name in legal)
    assert not any(re.search(params["train.model"]["pattern"], name) for name in wrong)
    assert params["force"]["enum"] == ["ingest", "validate", "normalize", "train", "evaluate", "export", None]


def test_schedule_comes_from_the_settings_file(bag: Bag, folder_bag: Bag) -> None:
    """@weekly in UTC by default, and never at once; cron, time zone, retries and timeouts as in [schedule]."""
    weekly = {"expression": "0 0 * * 0", "timezone": "UTC", "interval": 0.0, "run_immediately": 0.0}
    chosen_time = {"expression": "0 3 * * 1", "timezone": "Europe/Berlin"}
    assert timetable(bag["dags"]["retrain"]) == weekly
    assert timetable(folder_bag["dags"]["retrain"]) == weekly | chosen_time
    assert timetable(folder_bag["dags"]["housekeeping"])["timezone"] == "Europe/Berlin"
    chosen = Schedule(retries=7, retry_seconds=9, train_hours=5, task_hours=2)
    for dags, schedule in ((bag["dags"], Schedule()), (folder_bag["dags"], chosen)):
        for dag in dags.values():
            for name, task in dag["tasks"].items():
                hours = schedule.train_hours if name == "train" else schedule.task_hours
                assert task["timeout"] == hours * 3600
                assert (task["retries"], task["delay"]) == (schedule.retries, schedule.retry_seconds)


def test_tasks_stay_in_the_queue_that_every_worker_listens_to(bag: Bag) -> None:
    """Where no setting names a queue or a pod, each task has Airflow's own: a worker without --queues runs them all."""
    tasks = [task for dag in bag["dags"].values() for task in dag["tasks"].values()]
    assert {task["queue"] for task in tasks} == {"default"}
    assert {task["pool"] for task in tasks} == {"default_pool"}
    assert not any(task["executor"] for task in tasks)


def test_a_dag_trains_once_at_a_time(bag: Bag) -> None:
    """A backfill has more runs at once than the DAG allows."""
    tasks = bag["dags"]["retrain"]["tasks"]
    assert {name: task["at_once"] for name, task in tasks.items() if task["at_once"]} == {"train": 1}


def test_training_has_a_queue_a_pool_and_a_pod_of_its_own(bags: dict[str, Bag]) -> None:
    """Queues by the environment, the pod by its template: training lands where the cores are, and nothing else does."""
    for dag in bags["queues"]["dags"].values():
        for name, task in dag["tasks"].items():
            assert task["queue"] == ("train" if name == "train" else "light")
            assert task["pool"] == ("gpu" if name == "train" else "default_pool")
            assert task["executor"] == ({"pod_template_file": "/pods/train.yaml"} if name == "train" else {})


def test_only_a_source_that_can_change_is_watched(bags: dict[str, Bag], bag: Bag) -> None:
    """A folder by the triggerer, or every five minutes by a DAG; a published data set not; images are an asset."""
    assert kind(bag["dags"]["watch_data"]) == "NullTimetable"
    assert not is_watched(bag["dags"]["retrain"])
    assert "watch_data" not in bags["folder"]["dags"]
    assert is_watched(bags["folder"]["dags"]["retrain"])
    by_task = bags["by task"]["dags"]
    assert not is_watched(by_task["retrain"])
    assert timetable(by_task["watch_data"])["expression"] == "*/5 * * * *"
    assert by_task["watch_data"]["tasks"]["look"]["outlets"] == ["images of the source"]
    assert bag["dags"]["retrain"]["tasks"]["promote"]["outlets"] == ["champions"]


def test_one_dag_is_for_the_clock_and_for_new_images(bags: dict[str, Bag]) -> None:
    """Without a schedule it still runs on new images, and by hand."""
    assert kind(bags["default"]["dags"]["retrain"]) == "AssetOrTimeSchedule"
    assert kind(bags["by hand"]["dags"]["retrain"]) == "AssetTriggeredTimetable"
    for name in ("default", "by hand"):
        assert "images of the source" in json.dumps(bags[name]["dags"]["retrain"]["timetable"])


def test_the_champion_is_an_asset_of_the_task_that_promotes(bags: dict[str, Bag]) -> None:
    """Where the settings tell which model that is."""
    promote = bags["by hand"]["dags"]["retrain"]["tasks"]["promote"]
    assert promote["outlets"] == ["champion of digits-classifier", "champions"]


def test_a_wrong_setting_leaves_the_dag_readable(folder_bag: Bag) -> None:
    """What is wrong in the settings file stands first on the DAG's page; what is right in it still holds."""
    assert folder_bag["errors"] == {}
    retrain = folder_bag["dags"]["retrain"]
    assert "train.batch_size is 'many'; expected a whole number" in retrain["doc"].partition("\n\n")[0]
    assert "empty: 5" in retrain["described"]["train.epochs"]


def test_a_wrong_schedule_is_an_import_error_in_one_sentence(bags: dict[str, Bag]) -> None:
    """A malformed cron expression and a time zone that does not exist are reported with what was expected."""
    for name, sentence in {
        "wrong cron": "schedule.cron is 'on sundays'; expected five fields such as '0 3 * * 1'",
        "wrong zone": "schedule.timezone is 'Europe/Berlim'; expected the name of a time zone (did you mean",
    }.items():
        [text] = bags[name]["errors"].values()
        assert sentence in text.splitlines()[-1]
        assert bags[name]["dags"] == {}


def test_a_schedule_that_never_comes_fails_its_dag(bags: dict[str, Bag]) -> None:
    """Airflow would list the DAG without a next run, and retraining would stop without a word."""
    (text,) = bags["never"]["errors"].values()  # there is nothing to watch in the source "auto"
    assert "schedule.cron is '0 0 30 2 *'; expected five fields" in text.splitlines()[-1]
    assert text.splitlines()[-1].endswith("(this day never comes)")
