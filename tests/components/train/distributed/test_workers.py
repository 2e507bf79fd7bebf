"""Distributed training takes the steps of one worker; whichever process ends, none is left, and a retry resumes."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from components.errors import ConfigError, ModelRejected, WorkerLost
from components.settings.sections import Train
from components.train.distributed import launcher
from components.train.distributed.launcher import free_addresses
from components.train.stage import assist, train
from components.train.task import TeacherFile
from tests.support.small_training import SMALL, digests, folders, history, run, write_normalized

IMAGES = 97  # in batches of 16 the last one is a single image, which three workers cannot share


@pytest.fixture(scope="module")
def normalized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_normalized(tmp_path_factory.mktemp("normalize"), IMAGES)


@pytest.fixture
def children() -> Callable[[], list[psutil.Process]]:
    """The workers of this process that are running."""
    return lambda: [p for p in psutil.Process().children() if "components.train.distributed.worker" in p.cmdline()]


def steps(normalized: Path, folder: Path, workers: int, **settings: Any) -> list[dict[str, Any]]:
    """The weights and losses of each of *workers* after each step; one alone trains without communication."""
    folder.mkdir()
    addresses = free_addresses(workers) if workers > 1 else ()
    task = {"addresses": addresses, "normalize": str(normalized), "params": SMALL | settings, "out": str(folder)}
    command = [sys.executable, "-m", "tests.support.train_steps"]
    processes = [subprocess.Popen([*command, json.dumps({**task, "number": k})]) for k in range(workers)]
    assert [process.wait(120) for process in processes] == [0] * workers
    return [dict(np.load(folder / f"{k}.npz")) for k in range(workers)]


def largest_difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest difference of a weight or a loss, after any step."""
    assert one.keys() == other.keys()
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


PLAIN: dict[str, Any] = {"model": "cnn_bn", "optimizer": "sgd", "l2": 0.001, "dropout": 0.0, "epochs": 2}


def test_every_worker_takes_the_step_of_a_single_one(normalized: Path, tmp_path: Path) -> None:
    """Three workers, five or six images each, augmented, batch normalisation, a last batch of one image: after each of
    14 steps their weights are equal to the bit, and but for rounding those of one worker on the same batches."""
    [alone] = steps(normalized, tmp_path / "alone", 1, **PLAIN)
    three = steps(normalized, tmp_path / "three", 3, **PLAIN)
    assert len({name.partition("-")[0] for name in alone}) == 14
    assert largest_difference(three[0], three[1]) == largest_difference(three[0], three[2]) == 0
    assert largest_difference(three[0], alone) < 1e-5


EVERYTHING: dict[str, Any] = {
    "model": "cnn_bn",
    "optimizer": "sgd",
    "momentum": 0.8,  # 0.9 amplifies the rounding that differs between one worker and two
    "weight_decay": 0.01,
    "schedule": "onecycle",
    "loss": "one_hot",
    "class_weights": "balanced",
    "label_smoothing": 0.1,
    "ema": 0.95,
    "dropout": 0.0,
    "epochs": 2,
    "members": 2,
    "precision": "float32",
    "teacher": "1",
}


def test_every_technique_does_in_two_workers_what_it_does_in_one(normalized: Path, tmp_path: Path) -> None:
    """An ensemble of two with class weights, label smoothing, one cycle and averaged weights, distilled: the history of
    two workers is that of one."""
    run(normalized, tmp_path / "teacher", epochs=1)
    teacher = TeacherFile(tmp_path / "teacher/out/model.keras")
    for workers in (1, 2):
        params = Train(**(SMALL | EVERYTHING | {"workers": workers}))
        train(normalized, *folders(tmp_path / str(workers)), params=params, teacher=teacher)
    for one, two in zip(history(tmp_path / "1"), history(tmp_path / "2"), strict=True):
        assert one == pytest.approx(two, abs=1e-4)


def test_the_same_settings_give_the_same_bytes_though_dropout_differs_by_worker(
    normalized: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two equal trainings, in bfloat16 and with dropout; only the chief reports epochs."""
    for name in ("one", "same"):
        run(normalized, tmp_path / name, model="cnn_bn", epochs=2, precision="mixed_bfloat16", workers=2)
    assert digests(tmp_path / "one") == digests(tmp_path / "same")
    reported = re.findall(r"epoch (\d)/2  loss", capfd.readouterr().err)  # progress on a slow machine has one space
    assert reported == ["1", "2"] * 2


def test_early_stopping_and_the_schedule_decide_alike_everywhere(
    normalized: Path, tmp_path: Path, children: Callable[[], list[psutil.Process]]
) -> None:
    """With a rate too high, the schedule lowers it and training stops early in all workers; none waits for another."""
    run(normalized, tmp_path, epochs=12, patience=3, learning_rate=0.5, schedule="plateau", workers=2)
    rates = [row["learning_rate"] for row in history(tmp_path)]
    assert len(rates) < 12
    assert rates[-1] < rates[0]
    assert not children()


def test_divergence_is_reported_as_with_one_worker(normalized: Path, tmp_path: Path) -> None:
    """A NaN loss ends all workers with the message of DivergenceGuard."""
    with pytest.raises(ModelRejected, match="training diverged in epoch 1"):
        run(normalized, tmp_path, optimizer="sgd", learning_rate=10, model="cnn", epochs=5, l2=1.0, workers=2)


class Enough(Exception):
    """Raised by a search to end a trial."""


def test_a_watch_sees_each_epoch_and_may_end_the_training(
    normalized: Path, tmp_path: Path, children: Callable[[], list[psutil.Process]]
) -> None:
    """As a search does when it prunes a trial after its second epoch; no process is left."""
    seen: list[int] = []

    def watch(rows: list[dict[str, float]]) -> None:
        seen.append(len(rows))
        if len(rows) == 2:
            raise Enough

    params = Train(**(SMALL | {"workers": 2}))
    with pytest.raises(Enough):
        train(normalized, *folders(tmp_path), params=params, watch=watch)
    assert seen == [1, 2]
    assert not children()


def as_worker(monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...], number: int) -> None:
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(task))


def test_a_missing_worker_is_waited_for_until_a_timeout(
    normalized: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    children: Callable[[], list[psutil.Process]],
) -> None:
    """The message says which one waited, for how long, and what to check."""
    monkeypatch.setattr(launcher, "START_TIMEOUT", 8.0)
    as_worker(monkeypatch, free_addresses(2), 1)
    with pytest.raises(
        WorkerLost, match=r"worker 1 \(127.0.0.1:\d+\) waited 8 s for the other workers; start all within"
    ):
        assist(normalized, Train(workers=2))
    assert not children()


def test_a_port_in_use_is_reported(normalized: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's server would share it silently."""
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        as_worker(monkeypatch, ("127.0.0.1:1", address), 1)
        with pytest.raises(ConfigError, match=f"{address} is in use by another process"):
            assist(normalized, Train(workers=2))


ASSIST = """
import sys
from pathlib import Path
from components.settings.sections import Train
from components.train.stage import assist
assist(Path(sys.argv[1]), Train(workers=2))
"""


def test_a_worker_ends_with_the_stage_that_started_it(normalized: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 of the stage, while its worker waits for another one and sends nothing."""
    as_worker(monkeypatch, free_addresses(2), 1)
    with subprocess.Popen([sys.executable, "-c", ASSIST, str(normalized)]) as stage:
        while not (workers := psutil.Process(stage.pid).children()):
            assert stage.poll() is None
        stage.kill()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
