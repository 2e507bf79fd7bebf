"""One Airflow for all tests that need a scheduler of their own, and the runs that several of them check."""

from collections.abc import Iterator

import pytest

from tests.support.airflow_server import Served, add_images, airflow, digits

HEARTBEATS_SUSPENDED = 4  # received while the training stands still


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with airflow(tmp_path_factory.mktemp("airflow")) as running:
        yield running


@pytest.fixture(scope="session")
def first(served: Served) -> str:
    """A run in Airflow's own processes, from nothing to a champion; its training is killed, and MLflow is away once.

    At its end images are added to the watched folder, so that the run that they start goes on beside the next tests.
    """
    run = served.trigger(digits())
    served.kill(run, 1)
    with served.mlflow_away():
        process = served.until(lambda: served.process_of(run, "train", 2))
        process.suspend()
        suspended = served.heartbeats(run, "train", HEARTBEATS_SUSPENDED)
        served.first_running = served.log(run, "train", 2)
        process.resume()
        served.first_heartbeats = [*suspended, *served.heartbeats(run, "train")]
        served.until(lambda: served.failed(run, "register", 1), pause=0.1)
    tasks = served.succeeded(run)
    assert tasks["train"]["try_number"] == 2
    assert tasks["register"]["try_number"] >= 2
    add_images(served.images, 30)
    return run


@pytest.fixture(scope="session")
def refused(served: Served, first: str) -> str:
    """A run whose model is below the gate."""
    run = served.trigger(digits(gate__min_accuracy=0.9999))
    assert served.finished(run)[0] == "failed"
    return run
