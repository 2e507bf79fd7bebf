"""Starting Airflow where it cannot start: one sentence each, before anything is started."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.airflow.__main__ import main
from tests.conftest import CLEAN, ROOT
from tests.support.airflow_server import free_port

Start = Callable[..., tuple[int, str]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Start]:
    """`python -m pipeline.airflow` in this process: exit status and standard error, once nothing was started."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    for name in os.environ.keys() - CLEAN.keys():
        monkeypatch.delenv(name)

    def refused(*arguments: str, **environment: str) -> tuple[int, str]:
        home = tmp_path / "home"
        for name, value in {"PIPELINE_HOME": str(home), **environment}.items():
            monkeypatch.setenv(name, value)
        status = main(["--port", str(free_port()), "--mlflow-port", "0", *arguments])
        assert nothing_started(home)
        return status, capsys.readouterr().err

    yield refused
    for number, handler in handlers.items():
        signal.signal(number, handler)


def run(folder: Path, *arguments: str, python: str = sys.executable, root: Path = ROOT) -> tuple[int, str]:
    """The same in a process of its own."""
    done = subprocess.run(
        [python, "-m", "pipeline.airflow", "--port", str(free_port()), "--mlflow-port", "0", *arguments],
        cwd=root,
        env={**CLEAN, "PIPELINE_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert nothing_started(folder / "home")
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def nothing_started(home: Path) -> bool:
    return not (home / "airflow" / "logs" / "parts").exists()


@pytest.mark.parametrize(("option", "variable"), [("--port", "PORT"), ("--mlflow-port", "MLFLOW_PORT")])
def test_a_port_in_use_is_reported(start: Start, option: str, variable: str) -> None:
    """The sentence names the port and the next command, for Airflow's port and for MLflow's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        status, error = start(option, str(port))
    assert status == 2
    assert error.startswith(f"error: port {port} on 127.0.0.1 cannot be listened on (Address already in use)")
    assert f"make airflow {variable}={port + 1}" in error


def test_one_port_for_both_is_reported(tmp_path: Path) -> None:
    """MLflow's UI needs a port of its own."""
    port = str(free_port())
    status, error = run(tmp_path, "--port", port, "--mlflow-port", port)
    assert (status, f"error: port {port} on 127.0.0.1" in error, "MLFLOW_PORT=" in error) == (2, True, True)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "::1"])
def test_a_wrong_host_is_reported(start: Start, host: str) -> None:
    """An unknown name, and an address of another machine: what HOST may be instead."""
    status, error = start("--host", host)
    assert status == 2
    assert error == (
        f"error: HOST is '{host}', which is not an address of this machine; expected 127.0.0.1, or 0.0.0.0 to be "
        "reached from other machines: make airflow HOST=0.0.0.0\n"
    )


def test_a_port_out_of_range_is_reported(start: Start) -> None:
    """Ports end at 65535."""
    status, error = start("--port", "80800")
    assert (status, error) == (2, "error: PORT is 80800; expected a port, 1 to 65535: make airflow PORT=8081\n")


def test_wrong_settings_are_reported(start: Start, tmp_path: Path) -> None:
    """All problems of the settings file, in the terminal; so is a file that does not exist."""
    settings = tmp_path / "settings.toml"
    settings.write_text('[train]\nepoch = 3\n[schedule]\ncron = "on sundays"\n')
    status, error = start(PIPELINE_CONFIG=str(settings))
    assert status == 2
    assert "no setting is called 'train.epoch'; did you mean 'train.epochs'?" in error
    status, error = start(PIPELINE_CONFIG=str(tmp_path / "nowhere.toml"))
    assert (status, "nowhere.toml" in error) == (2, True)


def test_airflow_not_installed_is_reported(tmp_path: Path) -> None:
    """An interpreter without Airflow says so, and how to get it."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    status, error = run(tmp_path, python=str(bare / "bin" / "python"))
    assert status == 1
    assert "Airflow is not installed" in error
    assert "make setup" in error
    assert len(error.splitlines()) == 1


def test_dags_that_cannot_be_imported_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken file is named with the reason and the command that shows all of it; a wrong schedule is a sentence."""
    root, settings = tmp_path / "project", tmp_path / "settings.toml"
    for part in ("components", "pipeline", "dags"):
        shutil.copytree(ROOT / part, root / part)
    broken = root / "dags" / "broken.py"
    broken.write_text("from airflow.sdk import dag\nimport a_library_that_is_not_there\n")
    settings.write_text('[schedule]\ncron = "on sundays"\n')
    monkeypatch.setitem(CLEAN, "PIPELINE_CONFIG", str(settings))
    status, error = run(tmp_path, root=root)
    assert status == 2
    assert f"{broken} cannot be imported: ModuleNotFoundError: No module named 'a_library_that_is_not_there'" in error
    assert f"see the whole traceback: {sys.executable} {broken}" in error
    assert "error: schedule.cron is 'on sundays'; expected five fields such as '0 3 * * 1'" in error
    assert len(error.splitlines()) == 2


def test_a_disk_that_is_not_writable_is_reported(start: Start, tmp_path: Path) -> None:
    """PIPELINE_HOME inside a file."""
    (tmp_path / "file").write_text("")
    status, error = start(PIPELINE_HOME=str(tmp_path / "file" / "home"))
    assert status == 1
    assert "PIPELINE_HOME" in error
