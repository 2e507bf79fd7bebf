"""A stage as a child process: what becomes of its exit status, its words, and the process itself."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from components.errors import DataRejected, Failure, ModelRejected, SourceError, Unavailable
from pipeline.airflow.external_python import Child


class OutOfTime(BaseException):
    """As Airflow's: raised from a signal handler, in the middle of whatever the task does."""


def interpreter(folder: Path, script: str) -> Child:
    """A child whose interpreter is a shell script, so that it can end in any way."""
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return Child(str(file))


@contextmanager
def after(seconds: float) -> Iterator[None]:
    def expire(*_: object) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.signal(signal.SIGALRM, before)


def test_the_answer_is_what_the_child_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output is the answer, standard error goes on to the log."""
    child = interpreter(tmp_path, """echo "[1/8] ingest" >&2; echo '{"stage": "ingest"}'""")
    assert child.stage("ingest", [], "run") == {"stage": "ingest"}
    assert capsys.readouterr().err == "[1/8] ingest\n"


@pytest.mark.parametrize(
    ("status", "kind"), [(1, Unavailable), (2, SourceError), (3, DataRejected), (4, ModelRejected), (137, Unavailable)]
)
def test_the_exit_status_says_whether_a_retry_is_in_vain(tmp_path: Path, status: int, kind: type[Failure]) -> None:
    """2, 3 and 4 fail at once, any other is retried; the sentence is the child's own."""
    child = interpreter(tmp_path, f'echo "error: because" >&2; exit {status}')
    with pytest.raises(kind, match=r"^because$"):
        child.stage("train", [], "run")


def test_a_child_without_a_word_is_told_by_its_status(tmp_path: Path) -> None:
    """Killed, as by the system when memory is short."""
    with pytest.raises(Unavailable, match="train ended with exit status -9; the log above tells more"):
        interpreter(tmp_path, "kill -9 $$").stage("train", [], "run")


def test_an_interpreter_that_is_none_is_told() -> None:
    """The variable, its value, and what was expected."""
    with pytest.raises(SourceError, match="PIPELINE_PYTHON is /no/python, which cannot be started"):
        Child("/no/python").stage("train", [], "run")


def test_a_task_that_is_out_of_time_ends_its_child(tmp_path: Path) -> None:
    """The child is gone when the exception leaves the task."""
    child = interpreter(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    start = time.monotonic()
    with pytest.raises(OutOfTime), after(0.5):
        child.stage("train", [], "run")
    assert time.monotonic() - start < 10
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_a_child_ends_when_the_task_is_ended(tmp_path: Path) -> None:
    """What Airflow does on SIGTERM: it asks the task to end its child."""
    child = interpreter(tmp_path, "exec sleep 60")
    before = signal.signal(signal.SIGALRM, lambda *_: child.end())
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with pytest.raises(Unavailable, match="exit status -15"):
        child.stage("train", [], "run")
    signal.signal(signal.SIGALRM, before)
