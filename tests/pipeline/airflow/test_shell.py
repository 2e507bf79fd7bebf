"""`make airflow-shell`: the command `airflow` with the settings of the Airflow that `make airflow` starts."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.airflow.standalone.environment import SCHEDULER_LOCK, Local
from tests.conftest import CLEAN, ROOT

Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def local(tmp_path: Path) -> Local:
    """Where an Airflow has been started, on a port of its own and with a setting of the user's."""
    local = Local(tmp_path / "airflow", port=8123)
    local.keep(local.environment({"PIPELINE_CONFIG": "/settings.toml"}))
    return local


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "pipeline.airflow.standalone.shell", *arguments],
            cwd=ROOT, env={**CLEAN, "PIPELINE_HOME": str(tmp_path), **environment},
            capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip

    return run


def test_the_shell_has_the_settings_of_that_airflow(shell: Shell, local: Local, tmp_path: Path) -> None:
    """Its folder, its DAGs, its database and its address; the command airflow is that of this environment."""
    program = tmp_path / "shell"
    program.write_text("#!/bin/sh\nexec env\n")
    program.chmod(0o755)
    done = shell(SHELL=str(program))
    variables = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert variables["AIRFLOW_HOME"] == str(local.home)
    assert variables["AIRFLOW__CORE__DAGS_FOLDER"] == str(ROOT / "dags")
    assert variables["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:8123"
    assert variables["PIPELINE_CONFIG"] == "/settings.toml"
    assert variables["PATH"].startswith(str(Path(sys.executable).parent))
    assert (Path(sys.executable).parent / "airflow").exists()
    assert f"airflow is now the command of the Airflow in {local.home}" in done.stderr


def test_the_settings_are_their_owners_alone(local: Local) -> None:
    """They hold the key that signs Airflow's tokens; what every shell has is left out."""
    file = local.home / "environment.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "PATH" not in json.loads(file.read_text())


def test_a_workspace_without_airflow_is_reported(shell: Shell, tmp_path: Path) -> None:
    done = shell("dags", "list")
    assert done.returncode == 2
    assert done.stderr == f"error: there is no Airflow in {tmp_path / 'airflow'} yet; make airflow starts one\n"


@pytest.mark.parametrize("command", ["tasks", "dags"])
def test_a_command_that_deletes_runs_is_refused_while_airflow_runs(shell: Shell, local: Local, command: str) -> None:
    """`airflow tasks test` ends the scheduler: the sentence says what to use instead."""
    handle = os.open(local.home / SCHEDULER_LOCK, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        done = shell(command, "test", "receipts_retrain")
    finally:
        os.close(handle)
    assert done.returncode == 2
    assert f"airflow {command} test deletes runs under the scheduler" in done.stderr
    assert "-m pipeline stage NAME" in done.stderr
    assert "dags trigger receipts_retrain'" in done.stderr
