"""A run that has not ended in time: Airflow's scheduler notices, its triggerer reports it.

Airflow drops the deadline of a run when that succeeds, and keeps that of one that failed, which has been reported.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from airflow.sdk import get_parsing_context
from airflow.sdk.configuration import conf
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import BaseDeadlineReference, DeadlineAlert

from pipeline.airflow import notifications
from pipeline.airflow.project import Project

NAME = "late"
DISTRIBUTION, PLUGIN = "mnist-retraining-pipeline", "pipeline_reports"  # where Airflow learns of RunDue
UNENDED = ("queued", "running")


class RunDue(BaseDeadlineReference):
    """When a run was due: by its schedule, however late it was created, else when it was triggered.

    A backfilled run, whose date is in the past, has no deadline. Not Airflow's own DAGRUN_QUEUED_AT: Airflow 3.3.2
    answers *Clear* of a task with an internal error where that is still to come.
    """

    required_kwargs = frozenset({"dag_id", "run_id"})

    def _evaluate_with(self, *, session: Any, dag_id: str, run_id: str) -> datetime | None:
        """Called by the scheduler and the API server, when they create the run."""
        from airflow.models import DagRun
        from airflow.utils.types import DagRunType
        from sqlalchemy import select

        of_run = (DagRun.dag_id == dag_id, DagRun.run_id == run_id, DagRun.run_type != DagRunType.BACKFILL_JOB)
        due: datetime | None = session.scalar(select(DagRun.run_after).where(*of_run))
        return due


def deadline(project: Project) -> DeadlineAlert | None:
    """The alert of the project's runs; None where schedule.late_hours is 0, and for a worker, which needs none.

    None too where Airflow does not have the pipeline's plugin: it could create no run then.
    """
    hours = project.schedule.late_hours
    if not hours or get_parsing_context().dag_id or not _is_registered():
        return None
    return DeadlineAlert(RunDue(), timedelta(hours=hours), AsyncCallback(report, {"hours": hours}), NAME)


def _is_registered() -> bool:
    """Whether Airflow finds the pipeline's plugin, in its folder or as an entry point; to load it takes a second."""
    folder = Path(conf.get("core", "plugins_folder", fallback=""))
    if (folder / f"{PLUGIN}.py").is_file():
        return True
    try:
        return PLUGIN in distribution(DISTRIBUTION).entry_points.names
    except PackageNotFoundError:
        return False


async def report(hours: float, context: Mapping[str, Any]) -> None:
    """Notify people of the run in *context*, unless it has ended; called by the triggerer."""
    run = context["dag_run"]
    if run["state"] in UNENDED:
        await asyncio.to_thread(notifications.late, run["dag_id"], run["dag_run_id"], hours)
