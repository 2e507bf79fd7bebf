"""One Airflow for all tests of this folder, and the run that they all begin with."""

from collections.abc import Iterator

import pytest

from tests.dags.served import Served, airflow, digits


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with airflow(tmp_path_factory.mktemp("airflow")) as running:
        yield running


@pytest.fixture(scope="session")
def first(served: Served) -> str:
    """A run in Airflow's own processes, from nothing to a champion; its training is killed, and MLflow is away once."""
    run = served.killed_while_training(digits())
    database = served.home / "mlflow.db"
    database.mkdir()  # MLflow is away
    served.until(lambda: served.tasks(run)["train"]["state"] == "running")
    served.heard |= served.heartbeats(run, "train")
    served.until(lambda: served.tasks(run)["register"]["state"] == "up_for_retry")
    database.rmdir()
    tasks = served.succeeded(run)
    assert tasks["train"]["try_number"] == 2
    assert tasks["register"]["try_number"] >= 2
    return run
