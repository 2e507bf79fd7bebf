"""Start a local Airflow part by part, report progress, and keep it running until it is ended."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from components.errors import Failure, StorageFailed
from components.progress import progress, say
from components.system.ports import expect_free
from pipeline.airflow.standalone.environment import ROOT, USER, Local
from pipeline.airflow.standalone.preflight import are_read, expect_importable, expect_settings
from pipeline.airflow.standalone.processes import Parts
from pipeline.airflow.standalone.rest_client import Api
from pipeline.config import located, settings_file
from pipeline.home import Home
from pipeline.store.disk_errors import storage_errors

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
    _preflight(host, port, mlflow_port)
    with running(local, home, mlflow_port) as parts:
        _announce(local, mlflow_port)
        while not (dead := parts.dead()):
            time.sleep(1)
        raise Failure(f"Airflow's {dead[0]} has ended by itself; the end of its log:\n{parts.last_lines(dead[0])}")


def _preflight(host: str, port: int, mlflow_port: int) -> None:
    """Raise ConfigError for what a user can fix, before anything is started."""
    expect_settings()
    expect_free(host, port, "PORT")
    if mlflow_port:
        with socket.create_server((host, port)):  # so that one port for both is an error too
            expect_free(host, mlflow_port, "MLFLOW_PORT")


@contextlib.contextmanager
def running(local: Local, home: Home, mlflow_port: int) -> Iterator[Parts]:
    """A healthy Airflow whose DAGs are read; all of its processes have ended when the block is left."""
    ui = {"PIPELINE_MLFLOW_UI": f"http://{local.name}:{mlflow_port}"} if mlflow_port else {}
    with storage_errors(home.root):
        environment = local.environment({"PIPELINE_HOME": str(home.root), **_settings_file(), **ui})
    parts = Parts(local.logs, environment)
    try:
        with ThreadPoolExecutor(1) as executor:  # each is a process of some seconds
            importable = executor.submit(expect_importable, ROOT / "dags", environment)
            _migrate(environment)
            importable.result()
        for name, arguments in PARTS.items():
            parts.start(name, arguments)
        if mlflow_port:
            parts.start("mlflow", _mlflow(local, mlflow_port))
        _wait_until_ready(parts, local, mlflow_port)
        yield parts
    finally:
        parts.stop()


def _settings_file() -> dict[str, str]:
    """The settings file by its absolute path: Airflow's processes may run in another folder."""
    file = settings_file()
    return {"PIPELINE_CONFIG": str(located(file).absolute())} if file else {}


def _mlflow(local: Local, port: int) -> list[str]:
    """MLflow's UI, which answers to the host names of the links and to no other."""
    names = [name for host in {local.name, local.connect_host, "localhost"} for name in (host, f"{host}:{port}")]
    options = ("--host", local.host, "--port", str(port), "--workers", "1")
    return ["pipeline.mlflow_ui", *options, "--allowed-hosts", ",".join(sorted(names))]


def _migrate(environment: Mapping[str, str]) -> None:
    """Create or upgrade Airflow's database."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=dict(environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise StorageFailed(f"Airflow's database in {environment['AIRFLOW_HOME']} cannot be created: {' '.join(last)}")


def _wait_until_ready(parts: Parts, local: Local, mlflow_port: int) -> None:
    api = Api(f"http://{local.connect_host}:{local.port}", USER, local.password())
    _wait_until_healthy(parts, api)
    _wait_for_dags(parts, api)
    if mlflow_port:
        _wait_for_mlflow(parts, local, mlflow_port)


def _wait_until_healthy(parts: Parts, api: Api) -> None:
    with progress("Airflow's parts", len(PARTS)) as advance:
        for _ in _seconds(parts):
            health = api.health()
            healthy = [n for n, key in REPORTED.items() if health.get(key, {}).get("status") == "healthy"]
            advance(len(healthy), " ".join(healthy))
            if len(healthy) == len(PARTS):
                return


def _wait_for_dags(parts: Parts, api: Api) -> None:
    """Wait until the DAG processor has read every file; raises ConfigError for one that cannot be imported."""
    for _ in _seconds(parts):
        if are_read(api, ROOT / "dags"):
            return


def _wait_for_mlflow(parts: Parts, local: Local, port: int) -> None:
    for _ in _seconds(parts):
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://{local.connect_host}:{port}/health", timeout=5),
        ):
            return


def _seconds(parts: Parts) -> Iterator[int]:
    """Count seconds until it takes too long; raises Failure where a part dies."""
    for second in range(SECONDS_TO_START):
        if dead := parts.dead():
            raise Failure(f"Airflow's {dead[0]} did not start; the end of its log:\n{parts.last_lines(dead[0])}")
        yield second
        time.sleep(1)
    raise Failure(f"Airflow did not start within {SECONDS_TO_START} s; its parts' logs are in {parts.logs}")


def _announce(local: Local, mlflow_port: int) -> None:
    say(f"Airflow is ready: {local.url}   user {USER}   password {local.password()}")
    if mlflow_port:
        say(f"MLflow is ready:  http://{local.name}:{mlflow_port}")
    say(f"DAGs: {', '.join(DAGS)}; logs in {local.home / 'logs'}; Ctrl-C ends them all")
