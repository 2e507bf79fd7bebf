"""A stage as a child process: its answer, its failure, its log, and the end of the process itself."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from components.errors import (
    ArtifactMissing,
    ConfigError,
    DataRejected,
    Failure,
    ModelRejected,
    SourceError,
    Unavailable,
)
from components.system.processes import failure_message
from pipeline.airflow.external_python import Child
from tests.conftest import CLEAN, ROOT


class OutOfTime(BaseException):
    """As Airflow's: raised from a signal handler, in the middle of whatever the task does."""


def interpreter(folder: Path, script: str) -> Child:
    """A child whose interpreter is a shell script, which may end in any way."""
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
    """Standard output is the answer, standard error goes to the log."""
    child = interpreter(tmp_path, """echo "[1/8] ingest" >&2; echo '{"stage": "ingest"}'""")
    assert child.stage("ingest", [], "run") == {"stage": "ingest"}
    assert capsys.readouterr().err == "[1/8] ingest\n"


@pytest.mark.parametrize("installed", [False, True])
def test_the_child_imports_the_pipeline_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """An installed one it has itself: the packages beside ours are those of another environment."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr("pipeline.airflow.external_python.is_installed", lambda _: installed)
    child = interpreter(tmp_path, """echo "{\\"path\\": \\"$PYTHONPATH\\"}\"""")
    assert child.stage("ingest", [], "run")["path"] == ("" if installed else str(ROOT))


@pytest.mark.parametrize("kind", [Unavailable, SourceError, DataRejected, ModelRejected, ArtifactMissing])
def test_a_failure_of_the_child_is_raised_as_the_class_it_had_there(tmp_path: Path, kind: type[Failure]) -> None:
    """The class decides whether Airflow retries; neither exit status nor log matters."""
    answer = json.dumps(failure_message(kind("because")))
    child = interpreter(tmp_path, f"echo '{answer}'; echo 'error: something else' >&2; exit 1")
    with pytest.raises(kind, match=r"^because$") as raised:
        child.stage("train", [], "run")
    assert raised.type is kind


def test_a_child_that_dies_without_an_answer_is_retried(tmp_path: Path) -> None:
    """Killed, as by the system when memory is short, or ended by a bug, whose traceback is in the log."""
    with pytest.raises(Unavailable, match="train ended with exit status -9; see the log above"):
        interpreter(tmp_path, "kill -9 $$").stage("train", [], "run")
    with pytest.raises(Unavailable, match="train ended with exit status 1"):
        interpreter(tmp_path, "echo half an ans; echo Traceback >&2; exit 1").stage("train", [], "run")


def test_a_child_that_does_not_know_its_arguments_is_not_retried(tmp_path: Path) -> None:
    """That of an environment with another version of the pipeline: argparse prints its usage."""
    with pytest.raises(ConfigError, match="train ended with exit status 2; see the log above"):
        interpreter(tmp_path, "echo 'error: unrecognized arguments: --answer' >&2; exit 2").stage("train", [], "run")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The PIPELINE_HOME of the child, which inherits the variables of this process."""
    for name in os.environ.keys() - CLEAN.keys():
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_child_reports_every_anomaly_of_the_data(home: Path, tmp_path: Path) -> None:
    """A real stage whose data break two rules of a schema file: DataRejected with both sentences."""
    classes = [str(digit) for digit in range(10)]
    shape, shares = {"dtype": "uint8", "shape": [28, 28, 1]}, dict.fromkeys(classes, 0.1)
    few = {"min_images": {"train": 5000, "test": 1000}}
    schema = {"version": 1, "classes": classes, "class_shares": shares, **shape, **few}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    child, source = Child(sys.executable), "ingest.source=digits"
    child.stage("ingest", [source], "run")
    with pytest.raises(DataRejected) as raised:
        child.stage("validate", [source, f"validate.schema={tmp_path / 'schema.json'}"], "run")
    counts = [line.partition(";")[0] for line in str(raised.value).splitlines()]
    assert counts == ["test: 360 images", "train: 1,437 images"]


def test_a_child_reports_every_wrong_setting_as_a_config_error(home: Path) -> None:
    """A real child: ConfigError with its problems, one by one."""
    with pytest.raises(ConfigError) as raised:
        Child(sys.executable).stage("ingest", ["ingest.source=digits", "train.epochs=-1", "train.widht=2"], "run")
    assert len(raised.value.problems) == 2
    assert "train.epochs" in "".join(raised.value.problems)
    assert "did you mean 'train.width'?" in "".join(raised.value.problems)


def test_an_interpreter_that_cannot_be_started_is_reported() -> None:
    """The setting, its value, and what was expected."""
    with pytest.raises(ConfigError, match=r"schedule\.python is /no/python, which cannot be started"):
        Child("/no/python").stage("train", [], "run")


def test_a_task_that_is_out_of_time_ends_its_child(tmp_path: Path) -> None:
    """The child is gone when the exception leaves the task."""
    child = interpreter(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    start = time.monotonic()
    with pytest.raises(OutOfTime), after(0.5):
        child.stage("train", [], "run")
    assert time.monotonic() - start < 10
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_a_child_ends_when_the_task_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Airflow does on SIGTERM: on_kill ends the child, here at its first line."""
    child = interpreter(tmp_path, "echo started >&2; exec sleep 60")
    monkeypatch.setattr("pipeline.airflow.external_python.say", lambda _: signal.raise_signal(signal.SIGALRM))
    before = signal.signal(signal.SIGALRM, lambda *_: child.end())
    with pytest.raises(Unavailable, match="exit status -15"):
        child.stage("train", [], "run")
    signal.signal(signal.SIGALRM, before)
