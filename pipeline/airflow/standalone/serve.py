"""Start a local Airflow part by part, the API server first, report progress, and keep it running until it is ended.

Tasks report to the API server: one that is due would fail while nothing listens there, and lose a try.
"""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from components.errors import ConfigError, Failure, StorageFailed
from components.progress import progress, say
from components.system.descendants import kill_children, no_descendants_left, reap_orphans
from components.system.ports import expect_free
from pipeline import doctor
from pipeline.airflow.dag_files import settings_files, settings_folder
from pipeline.airflow.standalone.environment import DAGS, USER, Local, config_variable
from pipeline.airflow.standalone.preflight import are_read, expect_settings, importable
from pipeline.airflow.standalone.processes import Parts, module
from pipeline.airflow.standalone.rest_client import Api, Health
from pipeline.airflow.standalone.supervision import FIRST, SPARE, Supervision, title
from pipeline.home import Home
from pipeline.store.disk_errors import storage_errors

PARTS = {
    FIRST: module("airflow", "api-server"),
    "scheduler": module("pipeline.airflow.standalone.scheduler", "--skip-serve-logs"),
    "dag-processor": module("airflow", "dag-processor"),
    "triggerer": module("airflow", "triggerer", "--skip-serve-logs"),
}
REPORTED = {
    FIRST: "metadatabase",
    "scheduler": "scheduler",
    "dag-processor": "dag_processor",
    "triggerer": "triggerer",
}
SECONDS_BETWEEN_ROTATIONS = 60.0
SECONDS_TO_START = 180


def serve(host: str, port: int, mlflow_port: int) -> None:
    """Run Airflow until Ctrl-C. Raises Failure where it does not start or a part of it keeps ending."""
    home = Home.from_environment()
    home.prepare()
    local = Local(home.airflow, host, port)
    _preflight(host, port, mlflow_port)
    doctor.warn(home)
    with no_descendants_left(), running(local, home, mlflow_port) as (parts, dags):
        _announce(local, mlflow_port, dags)
        supervise(parts, Supervision(parts, _commands(local, mlflow_port), lambda: bool(_api(local).health())))


def supervise(parts: Parts, supervision: Supervision) -> None:
    """Keep the parts running; raises Failure where one keeps ending."""
    rotated = time.monotonic()
    while True:
        now = time.monotonic()
        if supervision.look(now):
            kill_children(kept=parts.pids())  # this process has no others
        reap_orphans(kept=parts.pids())  # of a training that was killed
        if now >= rotated + SECONDS_BETWEEN_ROTATIONS:
            rotated = now
            parts.rotate_logs()
        time.sleep(1)


def _preflight(host: str, port: int, mlflow_port: int) -> None:
    """Raise ConfigError for what a user can fix, before anything is started."""
    if not DAGS.is_dir():
        raise ConfigError("python -m pipeline.airflow needs a checkout; in another Airflow: docs/your-airflow.md")
    expect_settings()
    expect_free(host, port, "PORT")
    if mlflow_port:
        with socket.create_server((host, port)):  # so that one port for both is an error too
            expect_free(host, mlflow_port, "MLFLOW_PORT")


@contextlib.contextmanager
def running(local: Local, home: Home, mlflow_port: int) -> Iterator[tuple[Parts, list[str]]]:
    """A healthy Airflow that has read its DAGs, and their ids; all of its processes end when the block is left."""
    ui = {"PIPELINE_MLFLOW_UI": f"http://{local.name}:{mlflow_port}"} if mlflow_port else {}
    with storage_errors(home.root):
        environment = local.environment({"PIPELINE_HOME": str(home.root), **config_variable(), **ui})
        local.keep(environment)
    parts = Parts(local.logs, environment)
    try:
        with ThreadPoolExecutor(1) as executor:  # each is a process of some seconds
            reading = executor.submit(importable, DAGS, environment)
            _migrate(environment)
            dags = reading.result()
        _start(parts, _commands(local, mlflow_port), _api(local))
        if mlflow_port:
            _wait_for_mlflow(parts, local, mlflow_port)
        yield parts, dags
    finally:
        parts.stop()


def _commands(local: Local, mlflow_port: int) -> dict[str, Sequence[str]]:
    """The commands of all parts, in the order in which they are started."""
    return {**PARTS, **({SPARE: _mlflow(local, mlflow_port)} if mlflow_port else {})}


def _api(local: Local) -> Api:
    return Api(f"http://{local.connect_host}:{local.port}", USER, local.password())


def _mlflow(local: Local, port: int) -> list[str]:
    """MLflow's UI, which answers to the host names of the links and to no other."""
    names = [name for host in {local.name, local.connect_host, "localhost"} for name in (host, f"{host}:{port}")]
    options = ("--host", local.host, "--port", str(port), "--workers", "1")
    return module("pipeline.mlflow_ui", *options, "--allowed-hosts", ",".join(sorted(names)))


def _migrate(environment: Mapping[str, str]) -> None:
    """Create or upgrade Airflow's database."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=dict(environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise StorageFailed(f"Airflow's database in {environment['AIRFLOW_HOME']} cannot be created: {' '.join(last)}")


def _start(parts: Parts, commands: Mapping[str, Sequence[str]], api: Api) -> None:
    """Start the parts, the others once the first answers, and wait until all are healthy and the DAGs are read."""
    parts.start(FIRST, commands[FIRST])
    _wait_for_api(parts, api)
    for name in [name for name in commands if name != FIRST]:
        parts.start(name, commands[name])
    _wait_until_healthy(parts, api)
    _wait_for_dags(parts, api)


def _wait_for_api(parts: Parts, api: Api) -> None:
    with progress(f"{title(FIRST)}, seconds") as advance:
        for second in _seconds(parts):
            advance(second)
            if api.health():
                return


def _wait_until_healthy(parts: Parts, api: Api) -> None:
    with progress("Airflow's parts", len(PARTS)) as advance:
        for _ in _seconds(parts):
            healthy = _healthy(api.health())
            advance(len(healthy), " ".join(healthy))
            if len(healthy) == len(PARTS):
                return


def _healthy(health: Health) -> list[str]:
    return [name for name, key in REPORTED.items() if health.get(key, {}).get("status") == "healthy"]


def _wait_for_dags(parts: Parts, api: Api) -> None:
    """Wait until the DAG processor has read every file; raises ConfigError where none can be imported."""
    folder = settings_folder()
    files = len(settings_files(folder) if folder else [*DAGS.glob("*.py")])
    for _ in _seconds(parts):
        if are_read(api, files):
            return


def _wait_for_mlflow(parts: Parts, local: Local, port: int) -> None:
    """Wait until MLflow's UI answers; Airflow does without it where it has ended or takes too long."""
    for _ in range(SECONDS_TO_START):
        if SPARE in parts.ended() or _answers(local, port):
            return
        time.sleep(1)


def _answers(local: Local, port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{local.connect_host}:{port}/health", timeout=5):
            return True
    except OSError:
        return False


def _seconds(parts: Parts) -> Iterator[int]:
    """Count seconds until it takes too long; raises Failure where a part ends that Airflow needs."""
    for second in range(SECONDS_TO_START):
        for name in parts.ended():
            if name != SPARE:
                how = parts.remove(name)
                raise Failure(f"{title(name)} {how} at its start; the end of its log:\n{parts.last_words(name)}")
        yield second
        time.sleep(1)
    raise Failure(f"Airflow did not start within {SECONDS_TO_START} s; its parts' logs are in {parts.folder}")


def _announce(local: Local, mlflow_port: int, dags: Sequence[str]) -> None:
    say(f"Airflow is ready: {local.url}   user {USER}   password {local.password()}")
    if mlflow_port and _answers(local, mlflow_port):
        say(f"MLflow is ready:  http://{local.name}:{mlflow_port}")
    say(f"DAGs: {', '.join(dags)}; logs in {local.home / 'logs'}; Ctrl-C ends them all")
    say("make airflow-shell starts a shell whose command airflow is this one's (ARGS='dags list': one command)")
