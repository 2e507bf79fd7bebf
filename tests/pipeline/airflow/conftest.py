"""One Airflow for all tests of this folder, and the runs that several of them look at."""

import threading
from collections.abc import Iterator

import pytest

from tests.support.airflow_server import Served, airflow, digits, pictures

SECONDS_STILL = 4


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with airflow(tmp_path_factory.mktemp("airflow")) as running:
        yield running


@pytest.fixture(scope="session")
def first(served: Served) -> str:
    """A run in Airflow's own processes, from nothing to a champion; its training is killed, and MLflow is away once.

    At its end images are laid into the watched folder, so that what they start goes on beside the next tests.
    """
    run = served.trigger(digits())
    served.kill(run, 1)
    with served.mlflow_away():
        process = served.until(lambda: served.process_of(run, "train", 2))
        process.suspend()  # so that it can be heard of several times, however fast the machine trains
        threading.Timer(SECONDS_STILL, process.resume).start()
        served.heard = served.heartbeats(run, "train")
        served.until(lambda: served.failed(run, "register", 1), pause=0.1)
    tasks = served.succeeded(run)
    assert tasks["train"]["try_number"] == 2
    assert tasks["register"]["try_number"] >= 2
    served.until(lambda: [event for event in served.posted if event["dag"] == "watch_data"])  # no such folder
    pictures(served.images, 30)
    return run


@pytest.fixture(scope="session")
def refused(served: Served, first: str) -> str:
    """A run whose model is below the gate."""
    run = served.trigger(digits(gate__min_accuracy=0.9999))
    assert served.finished(run)[0] == "failed"
    return run
