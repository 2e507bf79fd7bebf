"""`python -m pipeline doctor`: what it finds on a machine that is right, and on one that is not."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.system.distributions import version
from pipeline import doctor
from pipeline.doctor import Line, examine
from pipeline.home import Home
from tests.conftest import command

LINES = ["python", "packages", "settings", "machine", "workspace", "locks", "disk", "clock", "registry"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in [name for name in os.environ if name.startswith(("PIPELINE_", "MLFLOW_TRACKING_"))]:
        monkeypatch.delenv(name)
    return Home(tmp_path / "home")


def line(home: Home, check: str) -> Line:
    [found] = [line for line in examine(home) if line.check == check]
    return found


@contextmanager
def registry(seconds_ahead: float) -> Iterator[str]:
    """The address of a server that answers as MLflow's does, with its clock *seconds_ahead*."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"registered_models": []}')

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time.time() + seconds_ahead, usegmt=True)

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_machine_that_is_right(home: Home) -> None:
    """A line for each thing, none of them an error, in one sentence each."""
    lines = examine(home)
    assert [line.check for line in lines] == LINES
    assert {line.mark for line in lines} <= {"ok", "warning"}
    assert all(len(line.sentence.splitlines()) == 1 for line in lines)


def test_the_command_prints_a_line_each_and_loads_nothing_heavy(tmp_path: Path) -> None:
    """JSON for programs; exit status 1 where something is wrong."""
    done = command(tmp_path / "home", "doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert [text.split()[1] for text in done.stdout.splitlines()] == LINES
    done = command(tmp_path / "home", "doctor", "--json", PIPELINE_TRAIN_EPOCH="3")
    assert done.returncode == 1
    [wrong] = [row for row in json.loads(done.stdout) if row["mark"] == "error"]
    assert wrong["check"] == "settings"
    assert wrong["text"] == "no setting is called 'train.epoch'; did you mean 'train.epochs'?"


def test_it_imports_neither_tensorflow_nor_airflow_nor_mlflow(home: Home) -> None:
    """It runs before each first task."""
    code = "import sys; from pipeline.doctor import Home, examine; examine(Home.from_environment());"
    code += "print(sorted({'tensorflow', 'keras', 'airflow', 'mlflow', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_python_that_is_not_supported(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which one is."""
    monkeypatch.setattr(doctor, "PYTHONS", ((3, 99), (3, 100)))
    assert (line(home, "python").mark, line(home, "python").advice) == ("error", "use Python 3.11 to 3.13")


def test_packages_that_differ_from_the_lock(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A lock may have several versions of one, for several Pythons; the rest may be of another platform."""
    lock = tmp_path / "requirements.lock"
    monkeypatch.setattr(doctor, "LOCK", lock)
    here = version("numpy")
    lock.write_text(
        f"numpy=={here} ; python_version < '3.12' \\\n    --hash=x\nnumpy==99 ; python_version >= '3.12'\nno-such==1\n"
    )
    assert line(home, "packages").mark == "ok"
    lock.write_text("numpy==99\n")
    found = line(home, "packages")
    assert found.mark == "warning"
    assert f"numpy {here} (lock: 99)" in found.text


def test_a_workspace_that_cannot_be_written_to(tmp_path: Path) -> None:
    """Nothing else is said of it."""
    (tmp_path / "file").touch()
    lines = examine(Home(tmp_path / "file" / "home"))
    assert [line.check for line in lines if line.mark == "error"] == ["workspace"]
    assert not {"locks", "disk", "clock"} & {line.check for line in lines}


def test_locks_that_do_not_hold(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on some network file systems: another process gets the lock that this one has."""
    monkeypatch.setattr(doctor, "flock", lambda *_: None)
    found = line(home, "locks")
    assert found.mark == "error"
    assert "do not hold between processes" in found.text
    assert "PIPELINE_HOME" in found.advice


@pytest.mark.parametrize(("free", "mark"), [(2**36, "ok"), (2**31, "warning"), (2**20, "error")])
def test_a_disk_that_is_nearly_full(home: Home, monkeypatch: pytest.MonkeyPatch, free: int, mark: str) -> None:
    """What frees some space."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    assert line(home, "disk").mark == mark
    assert ("pipeline gc" in line(home, "disk").advice) == (mark != "ok")


def test_a_machine_with_little_memory(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training would be killed."""
    monkeypatch.setattr("components.system.memory.available", lambda: 2**29)
    assert line(home, "machine").mark == "warning"


def test_a_registry_that_does_not_answer(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its login is not shown."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    found = line(home, "registry")
    assert found.mark == "error"
    assert found.text.startswith("http://127.0.0.1:1 does not answer (")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:secret@127.0.0.1:1")
    assert "secret" not in line(home, "registry").sentence


@pytest.mark.parametrize(("ahead", "mark"), [(0, "ok"), (3600, "warning"), (-3600, "warning")])
def test_a_clock_that_differs_from_the_registry(
    home: Home, monkeypatch: pytest.MonkeyPatch, ahead: float, mark: str
) -> None:
    """By how much, and which of the two is ahead."""
    with registry(ahead) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        [_, found] = [line for line in examine(home) if line.check == "clock"]
    assert found.mark == mark
    assert mark == "ok" or ("behind" if ahead > 0 else "ahead of") in found.text


def test_a_run_is_warned_of_what_is_wrong_alone(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is printed where all is right, and nothing is asked over the network."""
    monkeypatch.setattr(doctor, "LOCK", home.root / "no.lock")
    monkeypatch.setattr("components.system.memory.available", lambda: 2**34)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2**36))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    doctor.warn(home, registry=False)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("components.system.memory.available", lambda: 2**29)
    doctor.warn(home, registry=False)
    assert capsys.readouterr().err.startswith("warning: machine: ")
