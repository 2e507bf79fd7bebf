"""How many workers pytest-xdist starts (pytest -n logical), and which tests go to which of them."""

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Their tests are long and share nothing: any worker may run any of them.
ALONE = (
    "tests/test_faults.py",
    "tests/pipeline/test_runner.py",
    "tests/components/train/distributed/test_workers.py",
    "tests/pipeline/test_two_machines.py",
)
# Their tests share one Airflow, which the last one ends: one worker runs them, in this order.
ONE_AIRFLOW = (
    "tests/pipeline/airflow/test_scheduler.py",
    "tests/pipeline/airflow/test_ui.py",
    "tests/pipeline/airflow/test_decisions.py",
    "tests/pipeline/airflow/test_schedules.py",
    "tests/pipeline/airflow/test_restarts.py",
    "tests/pipeline/airflow/test_task_timeout.py",
)


def workers(config: pytest.Config) -> int:
    """One more than there are cores, so that one computes while the tests of another wait for Airflow or for a timeout.

    The quick tests only compute, and each worker collects all tests first.
    """
    return (os.cpu_count() or 1) + (not config.getoption("quick"))


def together(nodeid: str) -> str:
    """The name of the tests that stay with *nodeid*: its file's, as they share fixtures; those of one Airflow."""
    file = nodeid.partition("::")[0]
    if file in ALONE:
        return nodeid
    return "airflow" if file in ONE_AIRFLOW else file


class Scheduler(LoadScopeScheduling):  # type: ignore[misc]
    """Tests that belong `together`, in the order of the collection.

    Not the mark xdist_group, which pytest 9.2 makes ineffective: https://github.com/pytest-dev/pytest-xdist/issues/1386
    """

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)
