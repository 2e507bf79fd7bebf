"""The checks before a local Airflow is started; each mistake is reported in one sentence while nothing runs yet."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from components.errors import ConfigError
from components.progress import say
from pipeline import config
from pipeline.airflow.dag_files import settings_files, settings_folder, write_dag_files
from pipeline.airflow.standalone.rest_client import Api

READ_DAGS = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1], load_op_links=False)
print(json.dumps([sorted(bag.dags), bag.import_errors]))
"""
CONFIG_ERROR = "components.errors.ConfigError: "


def expect_settings() -> None:
    """Raise ConfigError with all that is wrong in the settings file and the environment.

    Of a folder of settings files each is a DAG file: a wrong one stops no other.
    """
    if folder := settings_folder():
        settings_files(folder)
    _, problems = config.written("" if folder else config.settings_file())
    if problems:
        raise ConfigError(*problems)


def importable(dags: Path, environment: Mapping[str, str]) -> list[str]:
    """The ids of the DAGs that Airflow reads, in a process of its own, in *dags* or the folder of settings files.

    Raises ConfigError for each file of *dags* that it cannot import; where some settings files are right, it warns of
    the others.
    """
    with tempfile.TemporaryDirectory() as nowhere:
        if folder := settings_folder():
            dags = Path(nowhere, "dags")
            write_dag_files(folder, dags)
        read, errors = _read(dags, {**environment, "AIRFLOW_HOME": nowhere})
    if errors and not (folder and read):
        raise ConfigError(*(import_error(file, trace) for file, trace in errors.items()))
    for file, trace in errors.items():
        say(f"warning: {Path(file).stem}.toml is left out: {import_error(file, trace)}")
    return read


def _read(dags: Path, environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The ids of the DAGs in *dags*, and the traceback of each file that cannot be imported."""
    done = subprocess.run(
        [sys.executable, "-c", READ_DAGS, str(dags)],
        env={**environment, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ConfigError(f"Airflow cannot read the DAGs of {dags}: {last}; make setup reinstalls it")
    read, errors = json.loads(done.stdout.splitlines()[-1])
    return read, errors


def are_read(api: Api, files: int) -> bool:
    """Whether Airflow has read all DAG *files*; raises ConfigError where none of them can be imported."""
    errors = api.every("importErrors", "import_errors")
    if len(errors) >= files:
        raise ConfigError(*(import_error(error["filename"], error["stack_trace"]) for error in errors))
    return len({dag["fileloc"] for dag in api.every("dags", "dags")}) + len(errors) >= files


def import_error(file: str, trace: str) -> str:
    """An import error of Airflow in one sentence; wrong settings have one already."""
    _, wrong, problems = trace.strip().rpartition(CONFIG_ERROR)
    if wrong:
        return "; ".join(problems.splitlines())
    last = problems.splitlines()[-1]
    return f"{file} cannot be imported: {last}; fix it, or see the whole traceback: {sys.executable} {file}"
