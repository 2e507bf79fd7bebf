"""Ending a training in every way, and at last Airflow itself: the last tests of the one Airflow."""

import re
import signal
import sys

import psutil
import pytest

from tests.support.airflow_server import Served, digits, family, gone

pytestmark = pytest.mark.airflow

LONG = {"train__epochs": 10_000, "train__patience": 10_000, "train__seed": 7}


@pytest.fixture(scope="module")
def long_run(served: Served, first: str) -> str:
    """A run whose training would take hours. Its first try is killed, its second exceeds the timeout."""
    with served.setting(f'python = "{sys.executable}"'):
        run = served.trigger(digits(**LONG))
        served.training(run, 1)
    with served.setting("train_hours = 0.006"):
        served.kill(run, 1)
        served.until(lambda: served.read_dag(run, "train", 2))
    served.until(lambda: served.failed(run, "train", 2))
    return run


def resumed_after(served: Served, run: str, number: int) -> int:
    """The epoch after which the training's try *number* resumed."""
    log = served.log(run, "train", number)
    epoch = re.search(r"epoch (\d+) of 10,?000 is done", log)
    assert epoch, log
    return int(epoch[1])


def test_a_training_that_takes_too_long_is_ended_and_tried_again(served: Served, long_run: str) -> None:
    """The log names the setting; the next try resumes where the one that was ended had come."""
    process = served.training(long_run, 3)
    log = served.log(long_run, "train", 2)
    assert "train was ended after 0.006 hours (schedule.train_hours)" in log
    assert 0 < resumed_after(served, long_run, 2) <= resumed_after(served, long_run, 3)
    assert process.is_running()


@pytest.mark.parametrize("then", [sys.executable, ""], ids=["in Airflow's process", "in a child"])
def test_a_training_marked_failed_by_hand_ends_and_can_be_cleared(served: Served, long_run: str, then: str) -> None:
    """The state set in the UI ends the process with its children, and is reported; Clear resumes the training, here in
    the other kind of process."""
    number = served.tasks(long_run)["train"]["try_number"]
    process = served.training(long_run, number)
    processes = [process, *process.children(recursive=True)]
    served.mark_failed(long_run, "train")
    assert gone(processes, 60)
    state, tasks = served.finished(long_run)
    assert (state, tasks["train"]["state"], tasks["evaluate"]["state"]) == ("failed", "failed", "upstream_failed")
    assert served.record(long_run).state in ("interrupted", "killed")
    [posted] = served.until(lambda: [e for e in served.posted if (e["run"], e.get("try")) == (long_run, number)])
    assert (posted["event"], posted["task"]) == ("failed", "train")
    with served.setting(f'python = "{then}"'):
        served.clear(long_run, task_ids=["train"], include_downstream=True, only_failed=False)
        served.training(long_run, number + 1)
    assert resumed_after(served, long_run, number + 1) > 0


def test_ctrl_c_leaves_no_process_behind(served: Served, long_run: str) -> None:
    """Ctrl-C while a task trains ends every process within half a minute."""
    assert served.tasks(long_run)["train"]["state"] == "running"
    processes = family(served.process.pid)
    assert len(processes) > 5
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(120) == 130
    assert [process for process in processes if process.is_running()] == []
    assert [process.cmdline() for process in psutil.process_iter() if uses(process, served)] == []


def uses(process: psutil.Process, served: Served) -> bool:
    try:
        return bool(process.environ().get("PIPELINE_HOME") == str(served.home))
    except psutil.Error:
        return False
