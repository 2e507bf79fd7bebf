"""The pool of the trainings is created as soon as one of Airflow's own parts starts."""

import pytest
from airflow.jobs.job import Job

from pipeline.airflow import pools


@pytest.fixture
def created(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(pools, "create", names.append)
    monkeypatch.setenv("PIPELINE_SCHEDULE_TRAIN_POOL", "training")
    return names


def test_a_job_creates_it_before_it_says_of_which_kind_it_is(created: list[str]) -> None:
    """Airflow calls the listener in the constructor of the job, whose kind is set afterwards."""
    job = Job.__new__(Job)
    pools.on_starting(job)
    assert created == ["training"]


def test_a_task_creates_none(created: list[str]) -> None:
    """It has no access to the database."""
    pools.on_starting(object())
    assert created == []


def test_none_is_created_where_no_pool_is_named(created: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIPELINE_SCHEDULE_TRAIN_POOL")
    pools.on_starting(Job.__new__(Job))
    assert created == []
