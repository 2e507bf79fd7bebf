"""What MLflow gets: values that its database takes, and no credentials."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pipeline.tracking import log_batch


@pytest.fixture
def entities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for MLflow's values: to import MLflow takes seconds."""
    module: Any = ModuleType("mlflow.entities")
    module.Metric = module.Param = module.RunTag = lambda *values: values
    monkeypatch.setitem(sys.modules, "mlflow", ModuleType("mlflow"))
    monkeypatch.setitem(sys.modules, "mlflow.entities", module)


@pytest.mark.usefixtures("entities")
def test_parameters_and_tags_hold_no_credentials() -> None:
    """Nor bytes that are no UTF-8, which MLflow's database refuses after the whole training."""
    logged: list[Any] = []
    client = SimpleNamespace(log_batch=lambda run, *values: logged.extend(values))
    params = {"ingest.mirror": "http://user:secret@host/", "ingest.source": "photos-\udce9"}
    log_batch(client, "run", [("loss", 0.5, 1)], params, {"error": "no answer from http://user:secret@host/"})
    [[metric], shown, tags] = logged
    assert (metric[0], metric[1], metric[3]) == ("loss", 0.5, 1)
    assert shown == [("ingest.mirror", "http://***@host/"), ("ingest.source", "photos-\\xe9")]
    assert tags == [("error", "no answer from http://***@host/")]
