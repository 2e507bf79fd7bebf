"""The pipeline's name for a run of a DAG, and the record that is kept under it."""

import hashlib
import re
from typing import Protocol

from pipeline.airflow.project import home_of
from pipeline.run_record import LONGEST_NAME, RunRecord, load


class TaskOfRun(Protocol):
    """What Airflow's task instances and their keys have in common."""

    @property
    def dag_id(self) -> str: ...

    @property
    def run_id(self) -> str: ...


def run_name(dag_id: str, run_id: str) -> str:
    """The name of the run, the same in each of its tasks and tries; fit for a folder."""
    name = f"{dag_id}-{re.sub(r'[^A-Za-z0-9._-]+', '-', run_id)}"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def record_of(task: TaskOfRun) -> RunRecord | None:
    """The record of the run that *task* belongs to; None before its first stage has begun."""
    return load(home_of(task.dag_id).runs / run_name(task.dag_id, task.run_id))
