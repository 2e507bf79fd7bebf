"""Starting Airflow where it cannot start: one sentence each, before anything is started."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CLEAN, ROOT


def start(folder: Path, *arguments: str, python: str = sys.executable, root: Path = ROOT) -> tuple[int, str]:
    """Exit status and what was said."""
    done = subprocess.run(
        [python, "-m", "pipeline.scheduling", "--mlflow-port", "0", *arguments],
        cwd=root,
        env={**CLEAN, "PIPELINE_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return done.returncode, done.stderr


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """The sentence names the port and the next command."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        status, said = start(tmp_path, "--port", str(port))
    assert status == 2
    assert said.startswith(f"error: port {port} on 127.0.0.1 cannot be listened on (Address already in use)")
    assert f"make airflow PORT={port + 1}" in said


def test_airflow_not_installed_is_told(tmp_path: Path) -> None:
    """An interpreter without Airflow says so, and how to get it."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    status, said = start(tmp_path, python=str(bare / "bin" / "python"))
    assert status == 1
    assert "Airflow is not installed" in said
    assert "make setup" in said
    assert len(said.splitlines()) == 1


@pytest.mark.airflow
def test_a_dag_that_cannot_be_imported_is_told(tmp_path: Path) -> None:
    """The file is named with the reason, and every part that was started has ended."""
    root = tmp_path / "project"
    for part in ("components", "pipeline"):
        shutil.copytree(ROOT / part, root / part)
    (root / "dags").mkdir()
    (root / "dags" / "broken.py").write_text("from airflow.sdk import dag\nimport a_library_that_is_not_there\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    status, said = start(tmp_path, "--port", str(port), root=root)
    assert status == 2
    assert "broken.py cannot be imported: ModuleNotFoundError: No module named 'a_library_that_is_not_there'" in said
