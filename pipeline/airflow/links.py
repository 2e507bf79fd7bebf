"""The links of a task in Airflow's UI: the run's report, its MLflow run, the model's version."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.configuration import conf
from airflow.sdk.types import TaskInstanceKey

from components.public_text import link
from pipeline.airflow.run_names import record_of
from pipeline.run_record import RunRecord

MLFLOW = "http://127.0.0.1:5000"


def mlflow_ui() -> str:
    """Where a browser finds MLflow: $PIPELINE_MLFLOW_UI, else the tracking server, else what `make mlflow` starts.

    Without the login that an address may hold: these links are seen by everybody who sees the task, or its webhook.
    """
    server = os.environ.get("MLFLOW_TRACKING_URI", "")
    ui = os.environ.get("PIPELINE_MLFLOW_UI") or (server if server.startswith("http") else MLFLOW)
    return link(ui).rstrip("/")


def report_url(record: RunRecord) -> str:
    base = str(conf.get("api", "base_url", fallback="")).rstrip("/")
    return f"{base}/pipeline/runs/{quote(Path(record.report).parent.name)}/report.html" if record.report else ""


def run_url(record: RunRecord) -> str:
    return f"{mlflow_ui()}/#/runs/{record.mlflow_run}" if record.mlflow_run else ""


def model_url(record: RunRecord) -> str:
    model = record.model
    return f"{mlflow_ui()}/#/models/{quote(model['name'])}/versions/{model['version']}" if model else ""


def _link(key: TaskInstanceKey, url: Callable[[RunRecord], str]) -> str:
    record = record_of(key)
    return url(record) if record else ""


class Report(BaseOperatorLink):
    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        return _link(ti_key, report_url)


class MLflowRun(BaseOperatorLink):
    name = "MLflow run"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        return _link(ti_key, run_url)


class Version(BaseOperatorLink):
    name = "Model version"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        return _link(ti_key, model_url)


LINKS = (Report(), MLflowRun(), Version())
