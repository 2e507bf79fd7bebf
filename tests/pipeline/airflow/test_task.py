"""What a stage's task takes from Airflow and gives to it, without a running Airflow."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import Context

from pipeline.airflow import task
from pipeline.airflow.run_names import run_name
from pipeline.airflow.task import StageResult, StageTask, _settled


class Recorded(StageTask):
    """Answers as a stage would, and remembers its settings."""

    def perform(self, settings: Sequence[str], run: str) -> dict[str, str]:
        self.settings = settings
        return dict.fromkeys(StageResult.__annotations__, "") | {"source": "/data/photos-\udce9", "run": run}


def execute(stage: str, ingested: str = "") -> tuple[StageResult, Sequence[str]]:
    """The result of the task of *stage*, and its settings; *ingested* is the source of the run's first task."""
    pulled = {"source": ingested} if ingested else None
    ti = SimpleNamespace(dag_id="retrain", run_id="manual", xcom_pull=lambda **_: pulled)
    recorded = Recorded(stage=stage, task_id=stage)
    return recorded.execute(cast("Context", {"ti": ti, "params": {}})), recorded.settings


@pytest.fixture
def masked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    secrets: list[str] = []
    monkeypatch.setattr(task, "mask_secret", secrets.append)
    return secrets


def test_passwords_of_the_environment_are_masked(masked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that quotes the registry's address in a traceback shows no login in Airflow's log."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:very-secret@host/")
    execute("train")
    assert "very-secret" in masked


@pytest.mark.usefixtures("masked")
def test_what_a_task_pushes_can_be_stored() -> None:
    """Airflow's database takes no name that is no UTF-8."""
    assert execute("ingest")[0]["source"] == "/data/photos-\\xe9"


@pytest.mark.usefixtures("masked")
@pytest.mark.parametrize(("ingested", "settings"), [("digits", ["ingest.source=digits"]), ("/data/photos-\\xe9", [])])
def test_later_tasks_take_the_data_set_on_which_the_first_settled(ingested: str, settings: list[str]) -> None:
    """A folder is left to the settings, which hold each of its bytes."""
    assert execute("train", ingested)[1] == settings


INGESTED = {"source": "digits", "settled": {"train.threads": 2, "train.precision": "float32"}}
TRAINED = {"source": "digits", "settled": {"train.threads": 8, "train.precision": "mixed_bfloat16"}}


def context(**pushed: dict[str, Any] | None) -> Context:
    return cast("Context", {"ti": SimpleNamespace(xcom_pull=lambda *, task_ids: pushed.get(task_ids))})


def test_the_run_of_a_long_id_has_a_name_that_a_folder_may_have() -> None:
    """Airflow takes 250 characters, and the DAG's id comes before them."""
    names = {run_name("retrain", "x" * 249 + last) for last in "ab"} | {run_name("retrain", "manual__1")}
    assert len(names) == 3
    assert all(len(name) <= 200 for name in names)
    assert "retrain-manual__1" in names


@pytest.mark.parametrize("stage", ["evaluate", "register", "export", "promote"])
def test_what_the_machine_that_trained_decided_holds_for_the_later_tasks(stage: str) -> None:
    """They run on a machine with fewer cores, or another processor, and still look for that training."""
    assert set(_settled(context(ingest=INGESTED, train=TRAINED), stage)) == {
        "ingest.source=digits",
        "train.threads=8",
        "train.precision=mixed_bfloat16",
    }


@pytest.mark.parametrize("stage", ["validate", "normalize", "train"])
def test_a_training_uses_the_cores_of_the_machine_that_trains(stage: str) -> None:
    """Not those of the worker that read the images."""
    assert _settled(context(ingest=INGESTED), stage) == ["ingest.source=digits"]


def test_results_of_an_earlier_version_settle_what_they_hold() -> None:
    """A run that was begun before an update goes on after it."""
    assert _settled(context(ingest={"source": "digits"}, train={"source": "digits"}), "promote") == [
        "ingest.source=digits"
    ]
