"""Starting Airflow where it cannot start: one sentence each, before anything is started."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CLEAN, ROOT
from tests.support.airflow_server import free_port


def start(
    folder: Path, *arguments: str, python: str = sys.executable, root: Path = ROOT, **environment: str
) -> tuple[int, str]:
    """Exit status and what was said; nothing was started."""
    home = folder / "home"
    done = subprocess.run(
        [python, "-m", "pipeline.airflow", "--port", str(free_port()), "--mlflow-port", "0", *arguments],
        cwd=root,
        env={**CLEAN, "PIPELINE_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert not (home / "airflow" / "logs" / "parts").exists()
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize(("option", "variable"), [("--port", "PORT"), ("--mlflow-port", "MLFLOW_PORT")])
def test_a_port_that_is_taken_is_told(tmp_path: Path, option: str, variable: str) -> None:
    """The sentence names the port and the next command, for Airflow's port and for MLflow's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        status, said = start(tmp_path, option, str(port))
    assert status == 2
    assert said.startswith(f"error: port {port} on 127.0.0.1 cannot be listened on (Address already in use)")
    assert f"make airflow {variable}={port + 1}" in said


def test_one_port_for_both_is_told(tmp_path: Path) -> None:
    """MLflow's UI needs a port of its own."""
    port = str(free_port())
    status, said = start(tmp_path, "--port", port, "--mlflow-port", port)
    assert (status, f"error: port {port} on 127.0.0.1" in said, "MLFLOW_PORT=" in said) == (2, True, True)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "::1"])
def test_a_wrong_host_is_told(tmp_path: Path, host: str) -> None:
    """A name that is none, and an address of another machine: what HOST may be instead."""
    status, said = start(tmp_path, "--host", host)
    assert status == 2
    assert said == (
        f"error: HOST is '{host}', which is not an address of this machine; expected 127.0.0.1, or 0.0.0.0 to be "
        "reached from other machines: make airflow HOST=0.0.0.0\n"
    )


def test_a_port_that_is_none_is_told(tmp_path: Path) -> None:
    """Ports end at 65535."""
    status, said = start(tmp_path, "--port", "80800")
    assert (status, said) == (2, "error: PORT is 80800; expected a port, 1 to 65535: make airflow PORT=8081\n")


def test_wrong_settings_are_told(tmp_path: Path) -> None:
    """All problems of the settings file, where a person sees them; so is a file that is not there."""
    settings = tmp_path / "settings.toml"
    settings.write_text('[train]\nepoch = 3\n[schedule]\ncron = "on sundays"\n')
    status, said = start(tmp_path, PIPELINE_CONFIG=str(settings))
    assert status == 2
    assert "no setting is called 'train.epoch'; did you mean 'train.epochs'?" in said
    status, said = start(tmp_path, PIPELINE_CONFIG=str(tmp_path / "nowhere.toml"))
    assert (status, "nowhere.toml" in said) == (2, True)


def test_a_wrong_schedule_is_told(tmp_path: Path) -> None:
    """A cron expression that is none is told with what was expected."""
    settings = tmp_path / "settings.toml"
    settings.write_text('[schedule]\ncron = "on sundays"\n')
    status, said = start(tmp_path, PIPELINE_CONFIG=str(settings))
    assert status == 2
    assert said.startswith("error: schedule.cron is 'on sundays'; expected five fields such as '0 3 * * 1'")


def test_airflow_not_installed_is_told(tmp_path: Path) -> None:
    """An interpreter without Airflow says so, and how to get it."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    status, said = start(tmp_path, python=str(bare / "bin" / "python"))
    assert status == 1
    assert "Airflow is not installed" in said
    assert "make setup" in said
    assert len(said.splitlines()) == 1


def test_a_dag_that_cannot_be_imported_is_told(tmp_path: Path) -> None:
    """The file is named with the reason, and the command that shows all of it."""
    root = tmp_path / "project"
    for part in ("components", "pipeline"):
        shutil.copytree(ROOT / part, root / part)
    (root / "dags").mkdir()
    broken = root / "dags" / "broken.py"
    broken.write_text("from airflow.sdk import dag\nimport a_library_that_is_not_there\n")
    status, said = start(tmp_path, root=root)
    assert status == 2
    assert f"{broken} cannot be imported: ModuleNotFoundError: No module named 'a_library_that_is_not_there'" in said
    assert f"see the whole traceback: {sys.executable} {broken}" in said


def test_a_disk_that_is_not_writable_is_told(tmp_path: Path) -> None:
    """PIPELINE_HOME inside a file."""
    (tmp_path / "file").write_text("")
    status, said = start(tmp_path, PIPELINE_HOME=str(tmp_path / "file" / "home"))
    assert status == 1
    assert "PIPELINE_HOME" in said
