"""Airflow's scheduler, which first takes up the tasks of the one before: python -m ...scheduler OPTIONS.

The scheduler of a local Airflow runs the tasks itself, and they end with it, by kill -9 or Ctrl-C or a power failure.
Airflow starts them again when the scheduler before has had no heartbeat for a while, which it looks at every five
minutes. Here that is at once, and since the task itself did not fail, it keeps its tries.
"""

import fcntl
import os
import sys
from collections.abc import Sequence

from airflow.__main__ import main as airflow
from airflow.jobs.job import Job, JobState
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import State
from sqlalchemy import update

from pipeline.airflow.standalone.environment import SCHEDULER_LOCK
from pipeline.home import Home


def main(options: Sequence[str]) -> None:
    if _is_alone():
        take_up()
    sys.argv = ["airflow", "scheduler", *options]
    airflow()  # type: ignore[no-untyped-call]


def _is_alone() -> bool:
    """Whether no other scheduler of this workspace runs, nor a task of one; holds a lock until this one has ended."""
    handle = os.open(Home.from_environment().airflow / SCHEDULER_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def take_up() -> None:
    """Have the tasks that were queued or running started again by the scheduler that starts now."""
    abandoned = TaskInstance.state.in_(State.adoptable_states), TaskInstance.queued_by_job_id.is_not(None)
    running = Job.job_type == "SchedulerJob", Job.state == JobState.RUNNING
    with create_session() as session:
        session.execute(update(TaskInstance).where(*abandoned).values(max_tries=TaskInstance.max_tries + 1))
        session.execute(update(Job).where(*running).values(state=JobState.FAILED))


if __name__ == "__main__":
    main(sys.argv[1:])
