"""The checks before a local Airflow is started; each mistake is reported in one sentence while nothing runs yet."""

import json
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
