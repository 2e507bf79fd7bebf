"""The form by which a run is triggered: what Airflow takes in its fields, and what the first task makes of it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import Context
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException, ParamValidationError

from pipeline.airflow import task
from pipeline.airflow.params_form import form, read_settings
from pipeline.airflow.task import StageTask
from tests.components.ingest.sources.test_s3 import FILES, put


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.setattr(task, "mask_secret", lambda secret: None)  # which only a running Airflow can do


def filled_in(**fields: object) -> dict[str, Any]:
    """The values of the form with these *fields*, as Airflow checks them before a run begins."""
    params = ParamsDict(form(read_settings()[0]))
    params.update({name.replace("__", "."): value for name, value in fields.items()})
    values: dict[str, Any] = params.validate()
    return values


def ingest(values: dict[str, Any]) -> dict[str, Any]:
    """The result of a run's first task."""
    ti = SimpleNamespace(dag_id="retrain", run_id="manual", try_number=1, max_tries=0, xcom_push=lambda *_: None)
    context = {"ti": ti, "params": values, "dag_run": SimpleNamespace(run_type="manual")}
    return dict(StageTask(stage="ingest", task_id="ingest").execute(cast("Context", context)))


def test_a_bucket_in_the_form_is_the_source_of_the_run(prefix: str) -> None:
    """It is none of the names that the field suggests."""
    address = put(f"{prefix}/pets/images", FILES)
    result = ingest(filled_in(ingest__source=address))
    assert result["source"] == address
    assert result["headline"].startswith("10 train, 2 test")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("s3://", "is no address of a bucket; expected s3://BUCKET/PREFIX"),
        ("s3:/pets/images", "is no address of a bucket; expected s3://BUCKET/PREFIX"),
        ("s3://models/nothing-here", "has no objects; expected images below it"),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_an_address_of_no_bucket_fails_the_first_task_for_good(source: str, said: str) -> None:
    """The form takes any text, as it asks no network."""
    with pytest.raises(AirflowFailException, match=said):
        ingest(filled_in(ingest__source=source))


def test_a_source_that_is_no_text_is_refused_before_a_run_begins() -> None:
    """By the field's own type."""
    with pytest.raises(ParamValidationError):
        filled_in(ingest__source=3)
