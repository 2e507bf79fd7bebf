"""The eight stages as Airflow tasks in a line, edges from the graph; before `promote` a person may be asked."""

import ast
from datetime import timedelta
from importlib import util
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from components.settings.sections import Schedule
from pipeline.airflow import approval, notifications
from pipeline.airflow.approval import Approve
from pipeline.airflow.assets import Promote, champions
from pipeline.airflow.project import Project
from pipeline.airflow.retries import DoubledWaits
from pipeline.airflow.task import StageTask
from pipeline.graph import edges, order

FAILURES = {
    "validate": "Fails at once if the images are not fit for training; log and report name them. "
    "Fix the data, or the bounds in the section [validate] of the settings file, then clear this task.",
    "train": "Fails at once if the loss is NaN or infinite. If the training is killed, the next try resumes after the "
    "last finished epoch.",
    "evaluate": "Fails at once if the model is below the gate (gate.min_accuracy), or no better than always giving the "
    "most frequent answer. The registry is not touched "
    "and the champion stays.",
    "register": "Retried while MLflow does not answer. A model that is registered already keeps its version.",
    "export": "Fails at once if an exported file disagrees with the model (gate.max_export_loss) "
    "or exceeds its size or latency budget (gate.max_bytes, gate.max_latency_ms, gate.max_latency_ratio).",
    "promote": "Fails at once if the model is worse than the champion on the same test images "
    "(gate.max_regression), or a person rejected it. Succeeds, and leaves the champion, if the images cannot tell. To "
    "promote a version all the same: *Trigger* `promote_version`.",
}

Arguments = dict[str, Any]  # of an operator


def add_stages(project: Project) -> dict[str, StageTask]:
    """Add a task for each stage to the DAG that is being built; returns them by stage."""
    tasks = {stage: stage_task(stage, project) for stage in order() if stage != "promote"}
    approve = Approve(
        doc_md=approval.DOC,
        on_failure_callback=project.within(notifications.failed),
        **common_arguments(approval.TASK, project),
    )
    tasks["promote"] = stage_task("promote", project)
    for before, after in edges():
        tasks[before] >> (approve if after == "promote" else tasks[after])
    approve >> tasks["promote"]
    return tasks


def make_dag(project: Project, name: str, **arguments: Any) -> DAG:
    """An empty DAG of the project."""
    return DAG(project.dag_id(name), catchup=False, max_active_runs=1, is_paused_upon_creation=False, **arguments)


def stage_task(stage: str, project: Project) -> StageTask:
    arguments = {
        "stage": stage,
        "doc_md": doc(stage),
        "on_failure_callback": project.within(notifications.failed),
        **common_arguments(stage, project),
    }
    if stage == "promote":
        return Promote(
            **arguments,
            outlets=champions(project),
            trigger_rule="none_failed",  # also where `approve` is skipped
            on_success_callback=project.within(notifications.succeeded),
        )
    return StageTask(**arguments)


def common_arguments(name: str, project: Project) -> Arguments:
    """The arguments of every task: name, owner, retries and the waits before them, timeout, and where it runs.

    A backfill has as many runs at once as it was started with, whatever the DAG says, and they train one by one.
    """
    schedule = project.schedule
    return {
        "task_id": name,
        "project": project,
        "owner": schedule.owner,
        "retries": schedule.retries,
        "retry_delay": timedelta(seconds=schedule.retry_seconds),  # of a task whose process was killed
        "retry_policy": DoubledWaits(schedule),
        "execution_timeout": timedelta(hours=schedule.train_hours if name == "train" else schedule.task_hours),
        "max_active_tis_per_dag": 1 if name == "train" else None,
        **placement(name, schedule),
    }


def placement(name: str, schedule: Schedule) -> Arguments:
    """The task's pool, its queue on Celery, its pod on Kubernetes; other executors read neither of the latter.

    An empty setting leaves the choice to Airflow: a worker without --queues listens to Airflow's default queue alone,
    and a task in another one would wait there for ever.
    """
    training = name == "train"
    queue = schedule.train_queue if training else schedule.light_queue
    pod = schedule.train_pod if training else ""
    pool = schedule.train_pool if training else ""
    chosen = {"queue": queue, "pool": pool, "executor_config": {"pod_template_file": pod} if pod else None}
    return {argument: value for argument, value in chosen.items() if value}


def doc(stage: str) -> str:
    """The docstring of the stage's module, read without importing it, and what a failure of it means."""
    spec = util.find_spec(f"components.{stage}.stage")
    assert spec
    assert spec.origin
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text())) or ""
    first, _, rest = text.partition("\n")
    return "\n\n".join(part for part in (f"**{first}**", rest.strip(), FAILURES.get(stage, "")) if part)
