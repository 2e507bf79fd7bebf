"""The links of a task in Airflow's UI: the run's report, its MLflow run, the model's version."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

from pipeline.home import Home
from pipeline.run_record import RunRecord, load

MLFLOW = "http://127.0.0.1:5000"


def record_of(ti: Any) -> RunRecord | None:
    """The record of the pipeline's run that the task instance *ti* is part of."""
    from pipeline.airflow.task import run_name

    return load(Home.from_environment().runs / run_name(ti.dag_id, ti.run_id))


def mlflow_ui() -> str:
    """Where a browser finds MLflow: $PIPELINE_MLFLOW_UI, else the tracking server, else what `make mlflow` starts."""
    server = os.environ.get("MLFLOW_TRACKING_URI", "")
    return (os.environ.get("PIPELINE_MLFLOW_UI") or (server if server.startswith("http") else MLFLOW)).rstrip("/")


def report_url(record: RunRecord) -> str:
    base = str(conf.get("api", "base_url", fallback="")).rstrip("/")
    return f"{base}/pipeline/runs/{quote(Path(record.report).parent.name)}/report.html" if record.report else ""


def run_url(record: RunRecord) -> str:
    return f"{mlflow_ui()}/#/runs/{record.mlflow_run}" if record.mlflow_run else ""


def model_url(record: RunRecord) -> str:
    model = record.model
    return f"{mlflow_ui()}/#/models/{quote(model['name'])}/versions/{model['version']}" if model else ""


class Report(BaseOperatorLink):
    name = "Report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        record = record_of(ti_key)
        return report_url(record) if record else ""


class MLflowRun(BaseOperatorLink):
    name = "MLflow run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        record = record_of(ti_key)
        return run_url(record) if record else ""


class Version(BaseOperatorLink):
    name = "Model version"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        record = record_of(ti_key)
        return model_url(record) if record else ""


LINKS = (Report(), MLflowRun(), Version())
