"""The checks before a local Airflow is started; each mistake is reported in one sentence while nothing runs yet."""

import errno
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from components.errors import ConfigError
from pipeline import config
from pipeline.airflow.standalone.rest_client import Api

READ_DAGS = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
print(json.dumps(DagBag(sys.argv[1], load_op_links=False).import_errors))
"""
CONFIG_ERROR = "components.errors.ConfigError: "


def expect_settings() -> None:
    """Raise ConfigError with all that is wrong in the settings file and the environment."""
    _, problems = config.written(config.settings_file())
    if problems:
        raise ConfigError(*problems)


def expect_free(host: str, port: int, variable: str, command: str = "make airflow") -> None:
    """Raise ConfigError where nothing can listen on *port* of *host*; *command* takes another by *variable*."""
    if not 1 <= port <= 65535:
        raise ConfigError(f"{variable} is {port}; expected a port, 1 to 65535: {command} {variable}=8081")
    try:
        with socket.create_server((host, port)):
            return
    except OSError as error:
        number = error.errno or 0
        if number < 0 or number == errno.EADDRNOTAVAIL:  # negative: the resolver's
            raise ConfigError(
                f"HOST is {host!r}, which is not an address of this machine; expected 127.0.0.1, or 0.0.0.0 to be "
                "reached from other machines: make airflow HOST=0.0.0.0"
            ) from None
        other = port + 1 if 1024 <= port < 65535 else 8081
        raise ConfigError(
            f"port {port} on {host} cannot be listened on ({os.strerror(number)}); choose another one: "
            f"{command} {variable}={other}"
        ) from None


def expect_importable(dags: Path, environment: Mapping[str, str]) -> None:
    """Raise ConfigError for each file of the folder *dags* that Airflow cannot import; runs in a process of its own."""
    with tempfile.TemporaryDirectory() as nowhere:
        quiet = {"AIRFLOW_HOME": nowhere, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
        done = subprocess.run(
            [sys.executable, "-c", READ_DAGS, str(dags)],
            env={**environment, **quiet}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ConfigError(f"Airflow cannot read the DAGs of {dags}: {last}; make setup reinstalls it")
    if errors := json.loads(done.stdout.splitlines()[-1]):
        raise ConfigError(*(import_error(file, trace) for file, trace in errors.items()))


def are_read(api: Api, dags: Path) -> bool:
    """Whether Airflow has read every file of the folder *dags*; raises ConfigError for one that cannot be imported."""
    if errors := api.get("importErrors")["import_errors"]:
        raise ConfigError(*(import_error(str(dags / e["filename"]), e["stack_trace"]) for e in errors))
    return {dag["dag_id"] for dag in api.get("dags")["dags"]} >= {path.stem for path in dags.glob("*.py")}


def import_error(file: str, trace: str) -> str:
    """An import error of Airflow in one sentence; a wrong setting has one already."""
    last = trace.strip().splitlines()[-1]
    if last.startswith(CONFIG_ERROR):
        return last.removeprefix(CONFIG_ERROR)
    return f"{file} cannot be imported: {last}; fix it, or see the whole traceback: {sys.executable} {file}"
