"""Start a local Airflow part by part, tell how far it is, and keep it until it is ended."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

from components.errors import ConfigError, Failure, StorageFailed
from components.progress import progress, say
from pipeline.config import located
from pipeline.home import Home
from pipeline.scheduling.api import Api
from pipeline.scheduling.local import ROOT, USER, Local
from pipeline.scheduling.parts import Parts
from pipeline.store import storage_errors

PARTS = {
    "api-server": ("airflow", "api-server"),
    "scheduler": ("airflow", "scheduler", "--skip-serve-logs"),
    "dag-processor": ("airflow", "dag-processor"),
    "triggerer": ("airflow", "triggerer", "--skip-serve-logs"),
}
REPORTED = {
    "api-server": "metadatabase",
    "scheduler": "scheduler",
    "dag-processor": "dag_processor",
    "triggerer": "triggerer",
}
SECONDS_TO_START = 180
DAGS = sorted(path.stem for path in (ROOT / "dags").glob("*.py"))


def serve(host: str, port: int, mlflow_port: int) -> None:
    """Run Airflow until Ctrl-C. Raises Failure where it does not start or a part of it ends."""
    home = Home.from_environment()
    home.prepare()
    local = Local(home.airflow, host, port)
    expect_free(host, port, "PORT")
    with running(local, home, mlflow_port) as (parts, api):
        _announce(local, api)
        while not (dead := parts.dead()):
            time.sleep(1)
        raise Failure(f"Airflow's {dead[0]} has ended by itself; its last words:\n{parts.last_words(dead[0])}")


@contextlib.contextmanager
def running(
    local: Local, home: Home, mlflow_port: int = 0, more: Mapping[str, str] | None = None
) -> Iterator[tuple[Parts, Api]]:
    """A healthy Airflow whose DAGs are read; every process of it has ended when the block is left."""
    ui = {"PIPELINE_MLFLOW_UI": f"http://{local.host}:{mlflow_port}"} if mlflow_port else {}
    with storage_errors(home.root):
        environment = local.environment({"PIPELINE_HOME": str(home.root), **_absolute(), **ui, **(more or {})})
    parts, api = Parts(local.logs, environment), Api(local.url, USER, local.password())
    try:
        _migrate(environment)
        for name, arguments in PARTS.items():
            parts.start(name, arguments)
        if mlflow_port:
            parts.start("mlflow", _mlflow(home, local.host, mlflow_port))
        _wait_until_healthy(parts, api)
        _wait_for_dags(parts, api)
        yield parts, api
    finally:
        parts.stop()


def expect_free(host: str, port: int, variable: str) -> None:
    """Raise ConfigError where another program listens already."""
    try:
        with socket.create_server((host, port)):
            return
    except OSError as error:
        raise ConfigError(
            f"port {port} on {host} cannot be listened on ({os.strerror(error.errno or 0)}); choose another one: "
            f"make airflow {variable}={port + 1}"
        ) from None


def _absolute() -> dict[str, str]:
    """The settings file by its full path: Airflow's processes need not share this one's folder."""
    file = os.environ.get("PIPELINE_CONFIG", "")
    return {"PIPELINE_CONFIG": str(located(file).absolute())} if file else {}


def _mlflow(home: Home, host: str, port: int) -> list[str]:
    return [
        *("mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", home.tracking_uri, "--artifacts-destination", str(home.root / "mlartifacts")),
    ]


def _migrate(environment: Mapping[str, str]) -> None:
    """Make or bring up to date Airflow's database."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=dict(environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise StorageFailed(f"Airflow's database in {environment['AIRFLOW_HOME']} cannot be made: {' '.join(last)}")


def _wait_until_healthy(parts: Parts, api: Api) -> None:
    with progress("Airflow's parts", len(PARTS)) as advance:
        for _ in _seconds(parts):
            told = api.health()
            healthy = [n for n, key in REPORTED.items() if told.get(key, {}).get("status") == "healthy"]
            advance(len(healthy), " ".join(healthy))
            if len(healthy) == len(PARTS):
                return


def _wait_for_dags(parts: Parts, api: Api) -> None:
    """Wait until the DAG processor has read every file; raises ConfigError for one that cannot be imported."""
    for _ in _seconds(parts):
        if errors := api.get("importErrors")["import_errors"]:
            raise ConfigError(*(_import_error(e["filename"], e["stack_trace"]) for e in errors))
        if {dag["dag_id"] for dag in api.get("dags")["dags"]} >= set(DAGS):
            return


def _import_error(file: str, trace: str) -> str:
    last = trace.strip().splitlines()[-1]
    return f"{file} cannot be imported: {last}; mend it, or see the whole trace with python {ROOT / 'dags' / file}"


def _seconds(parts: Parts) -> Iterator[int]:
    """Count seconds until it takes too long; raises Failure where a part dies."""
    for second in range(SECONDS_TO_START):
        if dead := parts.dead():
            raise Failure(f"Airflow's {dead[0]} did not start; its last words:\n{parts.last_words(dead[0])}")
        yield second
        time.sleep(1)
    raise Failure(f"Airflow did not start within {SECONDS_TO_START} s; its parts' logs are in {parts.logs}")


def _announce(local: Local, api: Api) -> None:
    say(f"Airflow is ready: {local.url}   user {USER}   password {local.password()}")
    say(f"DAGs: {', '.join(DAGS)}; logs in {local.home / 'logs'}; Ctrl-C ends it")
