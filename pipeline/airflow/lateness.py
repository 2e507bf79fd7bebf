"""A run that has not ended in time: Airflow's scheduler notices, its triggerer reports it.

Airflow drops the deadline of a run when that succeeds, and keeps that of one that failed, which has been reported.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from pipeline.airflow import notifications
from pipeline.airflow.project import Project

NAME = "late"
UNENDED = ("queued", "running")


def deadline(project: Project) -> DeadlineAlert | None:
    """The alert of the project's runs; None where schedule.late_hours is 0."""
    hours = project.schedule.late_hours
    if not hours:
        return None
    callback = AsyncCallback(report, {"hours": hours})
    return DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, timedelta(hours=hours), callback, NAME)


async def report(hours: float, context: Mapping[str, Any]) -> None:
    """Notify people of the run in *context*, unless it has ended; called by the triggerer."""
    run = context["dag_run"]
    if run["state"] in UNENDED:
        await asyncio.to_thread(notifications.late, run["dag_id"], run["dag_run_id"], hours)
