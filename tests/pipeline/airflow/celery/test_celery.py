"""Runs on Celery: two workers with a queue each, and what becomes of a run that loses a part of the cluster.

All runs make one model. After the first one each begins by forgetting what `train` made, loses a part while it trains
again, and has to come to the bytes of a training on the command line, in a home of its own, that nobody disturbed.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import pytest

from components.registry.client import Registry
from pipeline.graph import STAGES
from tests.conftest import command
from tests.support.airflow_server import digits
from tests.support.celery_stack import Cluster

pytestmark = pytest.mark.celery

FORM = digits(train__epochs=20, train__patience=20)  # a training that lasts long enough to be disturbed
SECONDS_AWAY = 1.0
SPARE = ("spare", "second")  # workers for training, started when the first one is lost


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Key and digest of the training that nobody disturbed."""
    chosen = [part for name, value in FORM.items() for part in ("--set", f"{name}={value}")]
    done = command(tmp_path_factory.mktemp("undisturbed"), "run", "--json", "--until", "train", *chosen)
    assert done.returncode == 0, done.stderr
    [train] = [stage for stage in json.loads(done.stdout)["stages"] if stage["stage"] == "train"]
    return {name: train[name] for name in ("key", "digest")}


@pytest.fixture(scope="session")
def switched_off(celery: Cluster, request: pytest.FixtureRequest) -> str:
    """A run from nothing to a champion; the machine that trains loses power, and two others are started."""
    run = celery.trigger(FORM)
    celery.training(run, 1)
    celery.switch_off("train")
    for name in SPARE:
        celery.worker(name, "train")
    request.getfixturevalue("model")  # while Airflow waits for word from the dead machine
    celery.succeeded(run)
    return run


@dataclass
class Training:
    """A run that has come to the middle of its training, and the process that trains."""

    run: str
    process: psutil.Process

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stopped where it is (SIGSTOP), however long the block takes; going on afterwards shows that it lives."""
        self.process.suspend()
        try:
            yield
        finally:
            self.process.resume()


@pytest.fixture
def training(celery: Cluster, switched_off: str, model: dict[str, str]) -> Training:
    shutil.rmtree(celery.home / "artifacts" / "train" / model["key"])
    run = celery.trigger(FORM)
    return Training(run, celery.training(run, 1))


def assert_made_once(celery: Cluster, run: str, model: dict[str, str]) -> None:
    """The run made the model in one try and the bytes of the undisturbed one; the registry has one version of it."""
    tasks = celery.succeeded(run)
    assert tasks["train"]["try_number"] == 1
    assert celery.made(run) == ["train"]
    assert_the_same(celery, run, model)


def assert_the_same(celery: Cluster, run: str, model: dict[str, str]) -> None:
    done = celery.done(run, "train")
    assert {name: done[name] for name in ("key", "digest")} == model
    registry = Registry(celery.parts.environment["MLFLOW_TRACKING_URI"])
    [version] = registry.versions("digits-classifier")
    assert set(version.aliases) == {"challenger", "champion"}


def test_each_task_runs_on_the_worker_of_its_queue(celery: Cluster, switched_off: str) -> None:
    """The worker for training trains and does nothing else."""
    for stage, task in celery.tasks(switched_off).items():
        queue, workers = ("train", SPARE) if stage == "train" else ("light", ("light",))
        assert task["queue"] == queue
        [worker] = [name for name in ("light", "train", *SPARE) if task["id"] in celery.said(name)]
        assert worker in workers, stage
    assert celery.said("train").count("Executing workload") == 1


def test_a_training_goes_on_elsewhere_when_its_machine_is_switched_off(
    celery: Cluster, switched_off: str, model: dict[str, str]
) -> None:
    """Another worker takes it up after the last epoch that was finished, and comes to the same bytes."""
    assert celery.tasks(switched_off)["train"]["try_number"] == 2
    done = celery.done(switched_off, "train")
    assert done["metrics"]["resumed_after_epoch"] >= 1
    log = celery.log(switched_off, "train", 2)
    assert "epoch 20/20" in log
    assert "epoch 1/20" not in log
    assert celery.made(switched_off) == list(STAGES)
    assert_the_same(celery, switched_off, model)


def redis_forgets(celery: Cluster) -> None:
    """Redis is away, and comes back with no message left."""
    celery.broker.stop()
    time.sleep(SECONDS_AWAY)
    celery.broker.start()


def postgresql_restarts(celery: Cluster) -> None:
    celery.database.stop()
    time.sleep(SECONDS_AWAY)
    celery.database.start()


def scheduler_dies(celery: Cluster) -> None:
    celery.switch_off("scheduler")
    time.sleep(SECONDS_AWAY)
    celery.start("scheduler")


@pytest.mark.parametrize("lose", [redis_forgets, postgresql_restarts, scheduler_dies])
def test_a_run_outlasts_the_loss_of_a_part(
    celery: Cluster, training: Training, model: dict[str, str], lose: Callable[[Cluster], None]
) -> None:
    """Queue, database or scheduler gone for some seconds: the training's process lives on, and the run succeeds."""
    with training.held():
        lose(celery)
    assert_made_once(celery, training.run, model)


def test_a_message_that_comes_twice_trains_once(celery: Cluster, training: Training, model: dict[str, str]) -> None:
    """Redis gives a task that is not acknowledged in time to another worker: Airflow turns that one away."""
    with training.held():
        celery.deliver_again()
        celery.until(lambda: any("Task already running elsewhere" in celery.said(worker) for worker in SPARE))
    assert_made_once(celery, training.run, model)


def test_a_run_outlasts_the_absence_of_mlflow(celery: Cluster, training: Training, model: dict[str, str]) -> None:
    """`register` is tried again until the server answers; what was trained meanwhile is not trained again."""
    with training.held():
        celery.switch_off("mlflow")
    celery.until(lambda: celery.failed(training.run, "register", 1))
    assert "MLflow" in celery.log(training.run, "register")
    celery.start("mlflow")
    assert_made_once(celery, training.run, model)
    assert celery.tasks(training.run)["register"]["try_number"] >= 2
