"""The eight stages as Airflow tasks in a line: one per entry of the graph, edges from the graph."""

import ast
from datetime import timedelta
from importlib import util
from pathlib import Path
from typing import Any

from components.settings.sections import Schedule
from pipeline.airflow import notifications
from pipeline.airflow.assets import CHAMPIONS, Promote
from pipeline.airflow.task import StageTask
from pipeline.graph import edges, order

OWNER = "mlops"
LONGEST_WAIT = timedelta(hours=1)
REFUSALS = {
    "validate": "Fails at once where the images are not fit for training; the log and the report name them. "
    "Mend the data, or the bounds in the settings file's section [validate], and clear this task.",
    "train": "Fails at once where the loss is no number any more. A killed training is taken up by the next try at the "
    "last finished epoch.",
    "evaluate": "Fails at once where the model is below the gate (gate.min_accuracy). The registry is then untouched "
    "and the champion stays.",
    "register": "Retried while MLflow does not answer. Finds the version of a model that it registered before.",
    "export": "Fails at once where an exported file disagrees with the model (gate.max_export_loss) "
    "or is larger or slower than its budget (gate.max_bytes, gate.max_latency_ms, gate.max_latency_ratio).",
    "promote": "Fails at once where the model is worse than the champion on the same test images "
    "(gate.max_regression). By hand: python -m pipeline promote VERSION --force --reason TEXT.",
}


def stages(schedule: Schedule) -> dict[str, StageTask]:
    """The tasks of the DAG that is being drawn, by stage."""
    tasks = {stage: task(stage, schedule) for stage in order()}
    for before, after in edges():
        tasks[before] >> tasks[after]
    return tasks


def task(stage: str, schedule: Schedule) -> StageTask:
    """One stage as a task."""
    arguments = {
        "stage": stage,
        "doc_md": doc(stage),
        "on_failure_callback": notifications.failed,
        **usual(stage, schedule),
    }
    if stage == "promote":
        return Promote(**arguments, outlets=[CHAMPIONS], on_success_callback=notifications.succeeded)
    return StageTask(**arguments)


def usual(name: str, schedule: Schedule) -> dict[str, Any]:
    """What every task has: what a retry can cure is tried again after a wait that doubles each time."""
    return {
        "task_id": name,
        "owner": OWNER,
        "retries": schedule.retries,
        "retry_delay": timedelta(seconds=schedule.retry_seconds),
        "retry_exponential_backoff": 2,
        "max_retry_delay": LONGEST_WAIT,
        "execution_timeout": timedelta(hours=schedule.train_hours if name == "train" else schedule.task_hours),
        **place(name, schedule),
    }


def place(name: str, schedule: Schedule) -> dict[str, Any]:
    """Where the task is to run: its queue on Celery, its pod on Kubernetes. Other executors read neither.

    What no setting names is left to Airflow: a worker that was told of no queue listens to Airflow's default alone, and
    a task in another one would wait there for ever.
    """
    training = name == "train"
    queue = schedule.train_queue if training else schedule.light_queue
    pod = schedule.train_pod if training else ""
    chosen = {"queue": queue, "executor_config": {"pod_template_file": pod} if pod else None}
    return {argument: value for argument, value in chosen.items() if value}


def doc(stage: str) -> str:
    """The text of the stage's own module, read without importing it, and what a failure of it means."""
    spec = util.find_spec(f"components.{stage}.stage")
    assert spec
    assert spec.origin
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text())) or ""
    first, _, rest = text.partition("\n")
    return "\n\n".join(part for part in (f"**{first}**", rest.strip(), REFUSALS.get(stage, "")) if part)
