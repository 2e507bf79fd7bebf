"""The links of a task in Airflow's UI: the run's report, its MLflow run, the model's version.

Airflow stores them when a task has ended; that of the MLflow run is wanted while the task trains.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.configuration import conf
from airflow.sdk.types import TaskInstanceKey

from components.public_text import link
from components.system.background import beside
from pipeline.airflow.run_names import record_of
from pipeline.run_record import RunRecord

log = logging.getLogger(__name__)
MLFLOW = "http://127.0.0.1:5000"
TRAINING = "workflowType=machine_learning"  # without it MLflow's UI shows what is for language models
SECONDS = 1.0  # between two looks at the record of a run


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
    page = f"experiments/{record.mlflow_experiment}/runs" if record.mlflow_experiment else "runs"
    return f"{mlflow_ui()}/#/{page}/{record.mlflow_run}?{TRAINING}" if record.mlflow_run else ""


def model_url(record: RunRecord) -> str:
    model = record.model
    return f"{mlflow_ui()}/#/models/{quote(model['name'])}/versions/{model['version']}?{TRAINING}" if model else ""


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


@contextmanager
def mlflow_run_linked(ti: Any) -> Iterator[None]:
    """Within the block, which runs the task *ti*, store the link to the MLflow run as soon as there is one.

    The record says so: the stage may run in a process of its own.
    """
    with beside(lambda ended: _link_mlflow_run(ti, ended)):
        yield


def _link_mlflow_run(ti: Any, ended: threading.Event) -> None:
    link = MLflowRun()
    while not ended.wait(SECONDS):
        try:
            if url := _link(ti, run_url):
                ti.xcom_push(key=link.xcom_key, value=url)
                return
        except Exception as error:  # the task goes on, and Airflow stores the link at its end
            log.warning("The link to the MLflow run is not there yet: %s", error)
            return
