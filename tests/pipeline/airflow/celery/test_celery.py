"""Runs on Celery: two workers with a queue each, and what happens to a run that loses a part of the cluster.

All runs make one model. After the first one each begins without the artifact of `train`, loses parts while it trains
again, and has to give the bytes of an undisturbed training on the command line, in a home of its own.
"""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import psutil
import pytest

from components.registry.client import Registry
from pipeline.graph import STAGES
from tests.conftest import command
from tests.support.airflow_server import digits
from tests.support.celery_stack import SILENCE, Cluster

pytestmark = pytest.mark.celery

FORM = digits(train__epochs=20, train__patience=20)  # a training that lasts long enough to be disturbed
SECONDS_AWAY = 3.0
SPARE = ("spare", "second")  # workers for training, started when the first one is lost

Model = dict[str, str]  # key and digest


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Key and digest of the undisturbed training."""
    settings = [part for name, value in FORM.items() for part in ("--set", f"{name}={value}")]
    done = command(tmp_path_factory.mktemp("undisturbed"), "run", "--json", "--until", "train", *settings)
    assert done.returncode == 0, done.stderr
    [train] = [stage for stage in json.loads(done.stdout)["stages"] if stage["stage"] == "train"]
    return {name: train[name] for name in ("key", "digest")}


@pytest.fixture(scope="module")
def switched_off(celery: Cluster, request: pytest.FixtureRequest) -> str:
    """A run from nothing to a champion; the machine that trains loses power, and two others are started."""
    run = celery.trigger(FORM)
    celery.training(run, 1)
    celery.switch_off("train")
    for name in SPARE:
        celery.worker(name, "train")
    request.getfixturevalue("model")  # while Airflow waits for heartbeats of the dead machine
    celery.succeeded(run)
    return run


@dataclass
class Training:
    """A run in the middle of its training, and the process that trains."""

    run: str
    process: psutil.Process

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Stopped where it is (SIGSTOP), however long the block takes; that it continues shows that it lived on."""
        self.process.suspend()
        try:
            yield
        finally:
            self.process.resume()


def training(celery: Cluster, model: Model) -> Training:
    """A new run whose artifact of `train` is gone, in its second epoch."""
    shutil.rmtree(celery.home / "artifacts" / "train" / model["key"])
    run = celery.trigger(FORM)
    return Training(run, celery.training(run, 1))


def assert_trained_once(celery: Cluster, run: str, model: Model) -> None:
    """The run trained in one try and made nothing else; the registry has one version of its model."""
    assert celery.succeeded(run)["train"]["try_number"] == 1
    assert celery.made(run) == ["train"]
    assert_same_model(celery, run, model)


def assert_same_model(celery: Cluster, run: str, model: Model) -> None:
    result = celery.result(run, "train")
    assert {name: result[name] for name in ("key", "digest")} == model
    registry = Registry(celery.parts.environment["MLFLOW_TRACKING_URI"])
    [version] = registry.versions("digits-classifier")
    assert set(version.aliases) == {"challenger", "champion"}


def test_each_task_runs_on_the_worker_of_its_queue(celery: Cluster, switched_off: str) -> None:
    """The worker for training trains and does nothing else."""
    for stage, task in celery.tasks(switched_off).items():
        queue, workers = ("train", SPARE) if stage == "train" else ("light", ("light",))
        assert task["queue"] == queue
        [worker] = [name for name in ("light", "train", *SPARE) if task["id"] in celery.log_of(name)]
        assert worker in workers, stage
    assert celery.log_of("train").count("Executing workload") == 1


def test_a_training_resumes_on_another_machine_when_its_own_is_switched_off(
    celery: Cluster, switched_off: str, model: Model
) -> None:
    """Another worker resumes it after the last finished epoch, and gives the same bytes."""
    assert celery.tasks(switched_off)["train"]["try_number"] == 2
    assert celery.result(switched_off, "train")["metrics"]["resumed_after_epoch"] >= 1
    log = celery.log(switched_off, "train", 2)
    assert "epoch 20/20" in log
    assert "epoch 1/20" not in log
    assert celery.made(switched_off) == list(STAGES)
    assert_same_model(celery, switched_off, model)


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


def has_recovered(celery: Cluster, run: str, since: float) -> bool:
    """Whether every part is healthy, the idle workers wait for messages, and the training was heard of *since* then."""
    idle = len(("light", *SPARE)) - 1
    return celery.healthy(since) and celery.waiting_workers() >= idle and celery.last_heartbeat(run, "train") > since


def test_a_run_outlasts_the_loss_of_queue_database_and_scheduler(
    celery: Cluster, switched_off: str, model: Model
) -> None:
    """One after the other, each for some seconds, while one training is suspended; the run succeeds in one try."""
    disturbed = training(celery, model)
    with disturbed.suspended():
        for lose in (redis_forgets, postgresql_restarts, scheduler_dies):
            lose(celery)
            celery.until(partial(has_recovered, celery, disturbed.run, time.time()))
    assert_trained_once(celery, disturbed.run, model)


@pytest.fixture(scope="module")
def disturbed(celery: Cluster, switched_off: str, model: Model) -> str:
    """A run whose message for `train` is delivered twice, and which finds no MLflow when it comes to `register`."""
    disturbed = training(celery, model)
    with disturbed.suspended():
        celery.deliver_again()
        celery.until(lambda: any("Task already running elsewhere" in celery.log_of(worker) for worker in SPARE))
        celery.switch_off("mlflow")
    celery.until(lambda: celery.failed(disturbed.run, "register", 1))
    assert "MLflow" in celery.log(disturbed.run, "register")
    celery.start("mlflow")
    return disturbed.run


def test_a_message_that_comes_twice_trains_once(celery: Cluster, disturbed: str, model: Model) -> None:
    """Redis delivers a task that is not acknowledged in time to another worker: Airflow turns that one away."""
    assert_trained_once(celery, disturbed, model)


def test_a_run_outlasts_the_absence_of_mlflow(celery: Cluster, disturbed: str) -> None:
    """`register` is retried until the server answers; the training is not repeated."""
    tasks = celery.succeeded(disturbed)
    assert tasks["register"]["try_number"] >= 2
    assert tasks["train"]["try_number"] == 1


@contextmanager
def machine_hangs(celery: Cluster, process: psutil.Process) -> Iterator[None]:
    """The worker whose task runs in *process* is stopped with all its processes (SIGSTOP), and continues afterwards."""
    [worker] = [name for name in SPARE if process in celery.family_of(name)]
    stopped = celery.family_of(worker)
    for each in stopped:
        each.suspend()
    try:
        yield
    finally:
        for each in stopped:
            each.resume()


def test_a_run_outlasts_the_loss_of_all_parts_for_longer_than_any_time_out(
    celery: Cluster, switched_off: str, model: Model
) -> None:
    """No heartbeat, no database and no queue until Airflow takes the training for dead and cannot send its next try.

    Another machine makes the same version; that the first one, back again, trains as well changes nothing.
    """
    lost = training(celery, model)
    with machine_hangs(celery, lost.process):
        taken_for_dead = celery.last_heartbeat(lost.run, "train") + SILENCE
        celery.database.stop()
        time.sleep(max(SECONDS_AWAY, taken_for_dead - time.time()))
        celery.broker.stop()
        celery.database.start()
        celery.until(lambda: celery.failed(lost.run, "train", 2))
        celery.broker.start()
        celery.until(lambda: celery.process_of(lost.run, "train", 3))
    assert celery.succeeded(lost.run)["train"]["try_number"] >= 3
    assert_same_model(celery, lost.run, model)
