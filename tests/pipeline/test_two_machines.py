"""Training with several workers through the command line: killed, resumed, and on two machines by TF_CONFIG."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from components.registry.client import Registry
from components.system.processes import end_with_parent
from components.train.distributed.launcher import free_addresses
from tests.conftest import CLEAN, ROOT, command

SETTINGS = ("--source", "digits", "--set", "train.model=dense", "--set", "train.epochs=6", "--set", "train.workers=2")
UNTIL_TRAIN = ("run", "--json", "--until", "train", *SETTINGS)

# The command line, with sys.argv[1] as the seconds in which the chief has to publish the model.
PATIENT = """
import sys
from unittest import mock
from pipeline.__main__ import main
with mock.patch("pipeline.runner.PUBLICATION_SECONDS", float(sys.argv.pop(1))):
    sys.exit(main())
"""


def start(home: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=ROOT,
        env={**CLEAN, "PIPELINE_HOME": str(home), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - sets one flag of the child
    )


def training(process: "subprocess.Popen[str]", epochs: int) -> list[psutil.Process]:
    """The workers of *process*, the chief first, once they have done so many *epochs*."""
    assert process.stderr
    while epochs:
        line = process.stderr.readline()
        assert line, "it ended before that"
        epochs -= bool(re.match(r"  epoch \d/6  loss", line))
    return [p for p in psutil.Process(process.pid).children() if "components.train.distributed.worker" in p.cmdline()]


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=60)
    return not alive


def trained(answer: str) -> dict[str, Any]:
    train: dict[str, Any] = {stage["stage"]: stage for stage in json.loads(answer)["stages"]}["train"]
    return train


@pytest.fixture
def homes(finished: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two homes in which the digits are ingested, validated and normalized."""
    for name in ("one", "other"):
        shutil.copytree(finished, tmp_path / name)
    return tmp_path / "one", tmp_path / "other"


def test_killed_in_any_process_the_training_leaves_no_worker_and_ends_in_the_same_bytes(
    homes: tuple[Path, Path],
) -> None:
    """kill -9 of the stage's process, then of one worker: one sentence, exit 1. The last call ends with the digest of
    an undisturbed training. MLflow has a run for each call, killed, failed and finished, with each epoch once."""
    home, undisturbed_home = homes
    parent = start(home, *UNTIL_TRAIN)
    workers = training(parent, 1)
    assert len(workers) == 2
    parent.kill()
    parent.communicate()
    assert gone(workers)

    one_less = start(home, *UNTIL_TRAIN)
    workers = training(one_less, 2)
    workers[1].send_signal(signal.SIGKILL)
    _, errors = one_less.communicate(timeout=120)
    assert one_less.returncode == 1
    assert gone(workers)
    [error] = [line for line in errors.splitlines() if line.startswith("error:")]
    assert re.fullmatch(
        r"error: worker 1 \(127.0.0.1:\d+\) was killed by signal 9 during the distributed training; "
        "run it again: training resumes after the last finished epoch",
        error,
    )
    assert "Traceback" not in errors

    again, undisturbed = (command(each, *UNTIL_TRAIN) for each in (home, undisturbed_home))
    assert again.returncode == undisturbed.returncode == 0, again.stderr + undisturbed.stderr
    assert "is done already: resuming after it" in again.stderr
    assert trained(again.stdout)["digest"] == trained(undisturbed.stdout)["digest"]
    runs = logged_runs(home)[-3:]  # before them is that of the run that the home comes from
    assert [status for status, _ in runs] == ["KILLED", "FAILED", "FINISHED"]
    assert all(epochs == list(range(1, len(epochs) + 1)) for _, epochs in runs)
    assert len(runs[-1][1]) == 6


def logged_runs(home: Path) -> list[tuple[str, list[int]]]:
    """The status of each run in MLflow, the oldest first, and the epochs that it has."""
    client = Registry(f"sqlite:///{home}/mlflow.db").client
    experiment = client.get_experiment_by_name("digits-classifier").experiment_id
    runs = client.search_runs([experiment], order_by=["attributes.start_time"])
    histories = [client.get_metric_history(run.info.run_id, "val_loss") for run in runs]
    return [(run.info.status, [m.step for m in history]) for run, history in zip(runs, histories, strict=True)]


def tf_config(addresses: tuple[str, ...], number: int) -> str:
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}})


def test_a_worker_that_falls_silent_ends_the_training(homes: tuple[Path, Path]) -> None:
    """As a machine that is cut off (by SIGSTOP here): a sentence after about ten seconds, and no worker is left."""
    process = start(homes[0], *UNTIL_TRAIN)
    workers = training(process, 1)
    workers[1].suspend()
    began = time.monotonic()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert 5 < time.monotonic() - began < 60  # some of it on a busy machine
    assert gone(workers)
    [error] = [line for line in errors.splitlines() if line.startswith("error:")]
    assert re.search(r"^error: the chief .* lost the other workers \(.*task:1.*stopped sending heartbeats", error)
    assert error.endswith("run it again: training resumes after the last finished epoch")


@pytest.mark.parametrize("shared", [True, False])
def test_two_machines_train_one_model_which_the_chief_publishes(homes: tuple[Path, Path], shared: bool) -> None:
    """The same command with another TF_CONFIG on each: the assistant takes the artifact from the shared store, or says
    where it is, and both exit 0."""
    addresses = free_addresses(2)
    processes = []
    for number, home in enumerate((homes[0], homes[0] if shared else homes[1])):
        seconds = "120" if shared else "3"
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", PATIENT, seconds, "stage", "train", "--json", *SETTINGS],
                cwd=ROOT,
                env={**CLEAN, "PIPELINE_HOME": str(home), "TF_CONFIG": tf_config(addresses, number)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - sets one flag of the child
            )
        )
    (chief, chief_errors), (other, other_errors) = (process.communicate(timeout=120) for process in processes)
    assert [process.returncode for process in processes] == [0, 0], chief_errors + other_errors
    assert "epoch 6/6" in chief_errors
    assert "epoch 6/6" not in other_errors
    if shared:
        assert json.loads(chief)["digest"] == json.loads(other)["digest"]
    else:
        assert other == ""
        assert "this machine has done its part of train; the chief's artifact train/" in other_errors


def test_a_tf_config_that_does_not_fit_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """Exit 2, one sentence, and not even the images are read."""
    done = command(tmp_path, *UNTIL_TRAIN, TF_CONFIG=tf_config(("a:1", "b:1", "c:1"), 0))
    assert done.returncode == 2
    assert "error: TF_CONFIG names 3 workers, and train.workers is 2" in done.stderr
    assert not (tmp_path / "artifacts" / "ingest").exists()


def test_a_search_refuses_tf_config(tmp_path: Path) -> None:
    """The other machines do not know its trials."""
    done = command(tmp_path, "tune", "--source", "digits", TF_CONFIG=tf_config(("a:1", "b:1"), 0))
    assert done.returncode == 2
    assert "error: TF_CONFIG is set, and a search trains on this machine alone; unset TF_CONFIG" in done.stderr
