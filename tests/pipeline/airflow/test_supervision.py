"""Parts that end, by stand-ins of Airflow's: what is started again and when, what is said, and what is left."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from components.errors import Failure
from pipeline.airflow.standalone import processes, serve
from pipeline.airflow.standalone.environment import DAGS
from pipeline.airflow.standalone.processes import Parts
from pipeline.airflow.standalone.rest_client import Health, Json
from pipeline.airflow.standalone.supervision import FIRST, SPARE, WAITS, WINDOW, Supervision
from tests.conftest import CLEAN, ROOT
from tests.support.processes import lives, until

COMMANDS = dict.fromkeys((FIRST, "scheduler", SPARE), ("sleep", "600"))
FAMILY = ("sh", "-c", "trap '' TERM; sleep 600 & sleep 600 & wait")  # deaf to SIGTERM


class Watched:
    """Parts under supervision, at a time that the tests set."""

    def __init__(self, folder: Path) -> None:
        self.parts = Parts(folder, CLEAN)
        self.api_answers = True
        self.now = 0.0
        self.supervision = Supervision(self.parts, COMMANDS, lambda: self.api_answers)
        for name, command in COMMANDS.items():
            self.parts.start(name, command)

    def kill(self, name: str) -> None:
        """kill -9 of the part, noticed at once."""
        self.parts.started[name].kill()
        self.noticed(name)

    def noticed(self, name: str) -> None:
        self.parts.started[name].wait()
        assert self.look() == [name]

    def look(self, seconds: float = 0) -> list[str]:
        """Look after *seconds*."""
        self.now += seconds
        return self.supervision.look(self.now)

    def runs(self, name: str) -> bool:
        return name in self.parts.started

    def children(self, name: str, count: int) -> list[psutil.Process]:
        """What the part has started, once that are *count* processes."""
        process = psutil.Process(self.parts.started[name].pid)
        until(lambda: len(process.children()) == count)
        children: list[psutil.Process] = process.children()
        return children


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.parts.stop()


class SlowToAnswer:
    """An API server that answers at the third question; keeps what ran at each."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.ran: list[set[str]] = []

    def health(self) -> Health:
        self.ran.append(set(self.parts.started))
        return {key: {"status": "healthy"} for key in serve.REPORTED.values()} if len(self.ran) > 2 else {}

    def every(self, path: str, key: str) -> list[Json]:
        return [{"fileloc": str(file)} for file in DAGS.glob("*.py")] if key == "dags" else []


def test_nothing_is_started_before_the_api_server_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is due reports to it, and would fail."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    commands = dict.fromkeys(["mlflow", *serve.PARTS], ("sleep", "600"))
    parts = Parts(tmp_path, CLEAN)
    api = SlowToAnswer(parts)
    try:
        serve._start(parts, commands, api)  # type: ignore[arg-type]
    finally:
        parts.stop()
    assert api.ran == [{FIRST}, {FIRST}, {FIRST}, set(commands)]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_part_that_is_killed_is_started_again(
    watched: Watched, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a second, each of them; a line says which, how it ended, and when it is started again."""
    watched.kill(name)
    title = "MLflow's UI" if name == SPARE else f"Airflow's {name}"
    line = rf"\d\d:\d\d:\d\d  {title} ended by signal 9; it is started again in 1 s\n"
    assert re.fullmatch(line, capsys.readouterr().err)
    assert not watched.runs(name)
    assert (watched.look(0.9), watched.runs(name)) == ([], False)
    assert (watched.look(0.1), watched.runs(name)) == ([], True)
    assert capsys.readouterr().err == ""


def test_the_waits_grow(watched: Watched) -> None:
    """A part that ends again and again is started after ever longer waits."""
    for wait in WAITS:
        watched.kill("scheduler")
        watched.look(wait - 0.1)
        assert not watched.runs("scheduler")
        watched.look(0.1)
        assert watched.runs("scheduler")
    assert (WAITS[0], WAITS[-1], len(WAITS)) == (1, 60, 5)
    assert list(WAITS) == sorted(WAITS)


def end_often(watched: Watched, name: str) -> None:
    """The part ends and is started again as often as it is at most."""
    for wait in WAITS:
        watched.kill(name)
        watched.look(wait)


def test_a_part_that_keeps_ending_is_given_up_with_its_last_words(watched: Watched) -> None:
    """Five new starts within ten minutes are enough: the failure says how often, how, and what the part said."""
    end_often(watched, "scheduler")
    watched.parts.started["scheduler"].kill()
    watched.parts.started["scheduler"].wait()
    watched.parts.start("scheduler", ("sh", "-c", "echo there is no database; exit 3"))
    watched.parts.started["scheduler"].wait()
    with pytest.raises(Failure) as raised:
        watched.look()
    assert str(raised.value) == (
        "Airflow's scheduler has ended 6 times within 10 minutes, and ended with status 3 now; the end of its log:\n"
        "there is no database"
    )


def test_a_part_that_ends_now_and_then_is_never_given_up(watched: Watched) -> None:
    """What was ten minutes ago does not count: the wait is a second again."""
    for _ in range(2):
        end_often(watched, "scheduler")
        watched.look(WINDOW)
    watched.kill("scheduler")
    watched.look(1)
    assert watched.runs("scheduler")


def test_airflow_does_without_the_ui_of_mlflow(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    """MLflow's UI never takes Airflow with it: it stays off, which is said, and the others run on."""
    end_often(watched, SPARE)
    watched.kill(SPARE)
    error = capsys.readouterr().err
    assert "MLflow's UI has ended 6 times within 10 minutes, and ended by signal 9 now" in error
    assert error.endswith("Airflow goes on without it; make mlflow starts it\n")
    watched.look(WINDOW * 2)
    assert set(watched.parts.started) == {FIRST, "scheduler"}


def test_the_api_server_is_started_before_the_others(watched: Watched) -> None:
    """A scheduler that starts while the API server is away would fail the tasks that are due: it waits for it."""
    watched.api_answers = False
    watched.kill("scheduler")
    watched.kill(FIRST)
    watched.look(60)
    assert (watched.runs(FIRST), watched.runs("scheduler")) == (True, False)
    watched.api_answers = True
    watched.look(1)
    assert watched.runs("scheduler")


def test_a_full_disk_is_waited_for(watched: Watched, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A part whose log cannot be written is tried again every minute; the others run on."""
    log = tmp_path / "scheduler.log"
    watched.kill("scheduler")
    log.unlink()
    log.mkdir()
    watched.look(1)
    assert (
        "Airflow's scheduler cannot be started (Is a directory); it is tried again in 60 s" in capsys.readouterr().err
    )
    log.rmdir()
    watched.look(60)
    assert watched.runs("scheduler")


def test_what_a_part_started_ends_with_it(watched: Watched) -> None:
    """Its workers are gone before it is started again: no task runs twice."""
    watched.kill("scheduler")
    watched.parts.start("scheduler", FAMILY)
    workers = watched.children("scheduler", 2)
    watched.kill("scheduler")
    assert not any(map(lives, workers))


def test_stop_ends_everything(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not listen to SIGTERM is killed."""
    monkeypatch.setattr(processes, "SECONDS_TO_END", 0.1)
    watched.parts.stop()
    for name in (FIRST, "scheduler"):
        watched.parts.start(name, FAMILY)
    running = [psutil.Process(pid) for pid in watched.parts.pids()]
    running += [child for name in (FIRST, "scheduler") for child in watched.children(name, 2)]
    watched.parts.stop()
    assert not any(map(lives, running))


class Program:
    """`tests.support.stand_in_parts` in processes of its own, and what it started."""

    def __init__(self, guard: "subprocess.Popen[str]") -> None:
        self.guard = psutil.Process(guard.pid)
        until(lambda: len(self.guard.children(recursive=True)) == 1 + 3 * 3)
        [self.supervisor] = self.guard.children()
        self.parts = self.supervisor.children()

    def all(self) -> list[psutil.Process]:
        return [self.guard, *self.guard.children(recursive=True)]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    command = [sys.executable, "-m", "tests.support.stand_in_parts", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, env=CLEAN, stderr=subprocess.PIPE, text=True) as guard:
        yield Program(guard)
        guard.terminate()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_nothing_of_a_killed_part_is_left(program: Program) -> None:
    """kill -9: what it started in a session of its own ends before the part is started again."""
    part = program.parts[1]
    started = part.children()
    part.kill()
    until(lambda: len(program.all()) == 1 + 1 + 2 * 3 and part not in program.all())
    assert not any(map(lives, started))
    until(lambda: len(program.all()) == 1 + 1 + 3 * 3)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("which", ["guard", "supervisor"])
def test_nothing_is_left_when_airflow_ends(program: Program, which: str, number: signal.Signals) -> None:
    """However `make airflow` ends: both of its processes, kill -9 and Ctrl-C."""
    everything = program.all()
    getattr(program, which).send_signal(number)
    until(lambda: not any(map(lives, everything)))
