"""What a stage's task takes from Airflow and gives to it, without a running Airflow."""

import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from components.errors import Failure, ModelRejected, RegistryUnreachable
from pipeline import run_settings
from pipeline.airflow import task
from pipeline.airflow.run_names import run_name
from pipeline.airflow.task import StageResult, StageTask


class Recorded(StageTask):
    """Answers as a stage would, and remembers its settings."""

    def perform(self, settings: Sequence[str], run: str, *, force: bool = False, **_: object) -> dict[str, Any]:
        self.settings, self.force = settings, force
        used = {"ingest.source": "digits", "train.epochs": 3}
        answer = dict.fromkeys(StageResult.__annotations__, "")
        return answer | {"source": "/data/photos-\udce9", "run": run, "settings": used}


class Refused(StageTask):
    """Fails as a stage would."""

    failure: Failure

    def perform(self, settings: Sequence[str], run: str, **_: object) -> NoReturn:
        raise self.failure


def context(run_type: str = "manual", **form: object) -> Context:
    """The context of a task in a run that was started with *form*."""
    ti = SimpleNamespace(
        dag_id="retrain",
        run_id="manual",
        try_number=1,
        max_tries=3,
        xcom_pull=lambda **_: None,
        xcom_push=lambda key, value: None,
    )
    params = {name.replace("__", "."): value for name, value in form.items()}
    return cast("Context", {"ti": ti, "params": params, "dag_run": SimpleNamespace(run_type=run_type)})


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))


@pytest.fixture
def masked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    secrets: list[str] = []
    monkeypatch.setattr(task, "mask_secret", secrets.append)
    return secrets


def test_passwords_of_the_environment_are_masked(masked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that quotes the registry's address in a traceback shows no login in Airflow's log."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:very-secret@host/")
    Recorded(stage="train", task_id="train").execute(context())
    assert "very-secret" in masked


@pytest.mark.usefixtures("masked")
def test_what_a_task_pushes_can_be_stored() -> None:
    """Airflow's database takes no name that is no UTF-8."""
    assert Recorded(stage="ingest", task_id="ingest").execute(context())["source"] == "/data/photos-\\xe9"


@pytest.mark.usefixtures("masked")
def test_the_form_names_a_stage_that_runs_again() -> None:
    """It is no setting, and the other stages reuse what there is."""
    for stage, forced in (("export", True), ("evaluate", False)):
        recorded = Recorded(stage=stage, task_id=stage)
        recorded.execute(context(force="export", train__epochs=3, train__model=None))
        assert (recorded.settings, recorded.force) == (["train.epochs=3"], forced)


@pytest.mark.usefixtures("masked")
@pytest.mark.parametrize(
    ("failure", "kind"), [(ModelRejected, AirflowFailException), (RegistryUnreachable, AirflowException)]
)
def test_a_failure_says_what_to_click(failure: type[Failure], kind: type[Exception]) -> None:
    """A refusal is not retried, another failure is; neither has a command in it."""
    refused = Refused(stage="evaluate", task_id="evaluate")
    refused.failure = failure("below the gate; train longer with --set train.epochs=6")
    with pytest.raises(kind) as raised:
        refused.execute(context(ingest__source="digits"))
    assert str(raised.value) == (
        "below the gate; train longer: *Trigger* a run with train.epochs=6; keep this run's ingest.source=digits"
    )
    assert isinstance(raised.value, AirflowFailException) == (kind is AirflowFailException)


@pytest.mark.usefixtures("masked")
@pytest.mark.parametrize(("number", "then"), [(3, "the task is tried again by itself"), (4, "*Clear* the task")])
def test_a_failure_says_whether_a_retry_follows(number: int, then: str) -> None:
    """After the last try a person has to act."""
    refused = Refused(stage="register", task_id="register")
    refused.failure = RegistryUnreachable("no answer: run `make pipeline` again")
    last = context()
    last["ti"].try_number = number
    with pytest.raises(AirflowException, match=re.escape(f"no answer: {then}")):
        refused.execute(last)


def test_the_run_of_a_long_id_has_a_name_that_a_folder_may_have() -> None:
    """Airflow takes 250 characters, and the DAG's id comes before them."""
    names = {run_name("retrain", "x" * 249 + last) for last in "ab"} | {run_name("retrain", "manual__1")}
    assert len(names) == 3
    assert all(len(name) <= 200 for name in names)
    assert "retrain-manual__1" in names


@pytest.mark.parametrize(("run_type", "automatic"), [("backfill", False), ("scheduled", True), ("manual", True)])
def test_a_backfilled_run_leaves_the_champion(run_type: str, automatic: bool) -> None:
    """Whatever its form and the settings file say: it registers its model, and asks nobody."""
    recorded = Recorded(stage="promote", task_id="promote")
    recorded.execute(context(run_type, promote__automatic=True))
    assert run_settings.load([*recorded.settings, "ingest.source=digits"]).promote.automatic is automatic
