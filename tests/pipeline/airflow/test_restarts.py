"""A run whose Airflow is stopped, started and killed part by part: it succeeds, and no try is lost."""

from dataclasses import dataclass

import psutil
import pytest

from pipeline.airflow.standalone.serve import REPORTED
from tests.support.airflow_server import Json, Served, digits, gone

pytestmark = pytest.mark.airflow

RETRIES = 3  # schedule.retries
PATIENT = {"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "600"}  # a busy machine is no failure


@dataclass
class Survivor:
    """A run that went on in spite of everything."""

    run: str
    train: Json  # its task
    said: str  # on the terminal meanwhile


@pytest.fixture(scope="module")
def survivor(served: Served) -> Survivor:
    """Its training is killed; with the retry due all of Airflow is stopped and started; each part is killed while the
    training, which stands still so that it lasts, goes on; the scheduler last, for it takes the training with it."""
    run = served.trigger(digits(train__seed=12))
    served.kill(run, 1)
    served.until(lambda: served.failed(run, "train", 1), pause=0.1)
    served.shut_down()
    served.start_again(**PATIENT)
    training = served.until(lambda: running_training(served, run))
    family = [training, *training.children(recursive=True)]
    training.suspend()
    for part in ("mlflow", "triggerer", "dag-processor", "api-server"):
        kill(served, part)
        assert training.is_running()
    kill(served, "scheduler")
    assert gone(family, 0)
    assert served.launch
    return Survivor(run, served.succeeded(run)["train"], served.launch.log.read_text())


def running_training(served: Served, run: str) -> psutil.Process | None:
    """The process of the try of the training that runs now."""
    return served.process_of(run, "train", served.tasks(run)["train"]["try_number"])


def kill(served: Served, name: str) -> None:
    """kill -9 of the part, which runs again at the end; the API server serves again."""
    before = served.part(name)
    assert before
    before.kill()
    served.until(lambda: served.part(name) not in (None, before))
    served.until(served.api.health)


def test_no_try_is_lost(served: Served, survivor: Survivor) -> None:
    """The task has as many tries left as the one failure, the kill of its own process, left it."""
    assert survivor.train["max_tries"] - survivor.train["try_number"] == RETRIES - 2
    assert survivor.train["try_number"] >= 3


def test_training_goes_on_where_it_was(served: Served, survivor: Survivor) -> None:
    assert served.result(survivor.run, "train")["metrics"]["resumed_after_epoch"] >= 1


def test_an_end_that_was_no_failure_notifies_nobody(served: Served, survivor: Survivor) -> None:
    """The one notification of a failure is that of the training that was killed itself, if any."""
    failures = [post for post in served.posted if post["run"] == survivor.run and post["event"] == "failed"]
    assert len(failures) <= 1


def test_each_part_that_ended_is_named_on_the_terminal(survivor: Survivor) -> None:
    for title in ("MLflow's UI", *(f"Airflow's {name}" for name in REPORTED)):
        assert f"{title} ended by signal 9; it is started again in 1 s" in survivor.said
