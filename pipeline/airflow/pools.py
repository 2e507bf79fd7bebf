"""The pool of the trainings: a task whose pool does not exist would wait for ever, so Airflow's own parts create it.

Airflow calls the listener where a job is made, before it says of which kind: scheduler, triggerer or DAG processor;
and where a task begins, which has no access to the database.
"""

import logging

from airflow.jobs.job import Job
from airflow.listeners import hookimpl
from airflow.models.pool import Pool
from airflow.utils.session import create_session

from pipeline.airflow import params_form

DESCRIPTION = "Trainings of the pipeline: one at a time"
log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: object) -> None:
    pool = params_form.schedule(params_form.read_settings()[0]).train_pool
    if isinstance(component, Job) and pool:
        create(pool)


def create(name: str) -> None:
    """Create the pool *name* with one slot; one that exists keeps its slots."""
    with create_session() as session:
        if Pool.get_pool(name, session=session) is None:
            Pool.create_or_update_pool(name, 1, DESCRIPTION, include_deferred=False, session=session)
            log.info("created the pool %s with one slot", name)
