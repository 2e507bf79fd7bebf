"""Build, start and stop the containers."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import IO

from components.errors import Failure, Unavailable
from components.progress import say
from components.system.ports import expect_free
from pipeline.airflow.dag_files import settings_files
from pipeline.airflow.standalone.preflight import are_read
from pipeline.airflow.standalone.rest_client import Api
from pipeline.compose import credentials
from pipeline.compose.docker_cli import Container, Engine
from pipeline.compose.environment import PORTS, secrets_folder, settings_folder, variables

HOST = "127.0.0.1"
SECONDS_TO_START = 600
SECONDS_BETWEEN_LINES = 10.0
TAIL = 2**12  # bytes


def up(environment: Mapping[str, str]) -> None:
    """Build, start, and return when all containers are healthy and the DAGs are read; raises Failure otherwise.

    With containers that run already, it updates those that changed and leaves the others alone.
    """
    engine = Engine(environment)
    engine.require()
    engine.environment |= variables(environment, engine.processors())
    secrets = secrets_folder(environment)
    _require_ports(engine)
    credentials.ensure(secrets, engine.volume("postgres"))
    start_time = time.monotonic()
    build(engine)
    start(engine)
    api = Api(f"http://{HOST}:{engine.environment['PORT']}", credentials.USER, credentials.password(secrets))
    _wait_for_dags(api, len(settings_files(settings_folder(environment))))
    say(f"all containers are healthy after {time.monotonic() - start_time:.0f} s")
    _warn(engine)
    say(f"Airflow is ready: {api.url}   user {credentials.USER}   password {credentials.password(secrets)}")
    say(f"MLflow is ready:  http://{HOST}:{engine.environment['MLFLOW_PORT']}")
    say(f"the champion will be at http://{HOST}:{engine.environment['SERVE_PORT']}")
    say("make down stops them; the volumes are kept")


def down(environment: Mapping[str, str], *, volumes: bool) -> None:
    """Stop and remove the containers and their networks; with *volumes* what they keep and the secrets too."""
    engine = Engine(environment)
    engine.require()
    engine.compose("down", "--remove-orphans", *(["--volumes"] if volumes else []))
    if volumes:
        credentials.delete(secrets_folder(environment))
        say("stopped; artifacts, registry, history and secrets are deleted")
    else:
        say("stopped; the volumes are kept, and make up continues with them (make down VOLUMES=1 deletes them)")


def build(engine: Engine) -> None:
    """Build the images; raises Unavailable where that fails."""
    say("building the images (minutes the first time, seconds when nothing changed)")
    if reason := _run(engine, "build"):
        raise Unavailable(f"the images cannot be built: {reason}; what was built is kept, call make up again")


def start(engine: Engine) -> None:
    """Start the services in their order, each when those it needs are healthy; raises Unavailable where one fails.

    `docker compose up --wait` fails when a container ends, even with status 0, unless another service waits for that
    (https://github.com/docker/compose/issues/10596): all of Airflow's services wait for airflow-init. Its timeout is
    for services that no other one needs; it waits for the others until their health checks have used up their retries.
    """
    say("starting the containers")
    wait = ("--wait", "--wait-timeout", str(SECONDS_TO_START))
    if reason := _run(engine, "up", "--detach", *wait, "--no-build", "--remove-orphans"):
        raise Unavailable(_last_words(engine) or f"the containers do not start: {reason}")


def _warn(engine: Engine) -> None:
    """Print what `python -m pipeline doctor` finds wrong in a worker."""
    done = engine.compose("exec", "-T", "worker", "sh", "-c", "python -m pipeline doctor || true")
    for line in done.stdout.splitlines():
        if not line.startswith("ok"):
            say(line)


def _require_ports(engine: Engine) -> None:
    """Raise ConfigError where a port is taken by another program than our containers."""
    published = {port["PublishedPort"] for container in engine.containers() for port in container["Publishers"] or []}
    for variable in PORTS:
        if (port := int(engine.environment[variable])) not in published:
            expect_free(HOST, port, variable, "make up")


def _run(engine: Engine, *arguments: str) -> str:
    """Why `docker compose ARGUMENTS` failed, "" where it did not.

    On a terminal it shows its own progress; elsewhere its last line so far is repeated every ten seconds.
    """
    if sys.stderr.isatty():
        return "the reason is above" if engine.start(*arguments).wait() else ""
    with tempfile.TemporaryFile() as output:
        process, begin = engine.start(*arguments, output=output), time.monotonic()
        while True:
            try:
                return _last_line(output) if process.wait(SECONDS_BETWEEN_LINES) else ""
            except subprocess.TimeoutExpired:
                say(f"  {time.monotonic() - begin:4.0f} s  {_last_line(output)}")


def _last_line(output: IO[bytes]) -> str:
    """Of what a process writes to *output*; read without moving the position, which the process shares."""
    size = os.fstat(output.fileno()).st_size
    tail = os.pread(output.fileno(), TAIL, max(0, size - TAIL)).decode(errors="replace")
    return (tail.strip().splitlines() or ["no output"])[-1].strip()


def _last_words(engine: Engine) -> str:
    """The end of the log of the first service that failed; "" where none did."""
    failed = [container["Service"] for container in engine.containers() if _failed(container)]
    return f"{failed[0]} did not start; the end of its log:\n{engine.log(failed[0])}" if failed else ""


def _failed(container: Container) -> bool:
    if container["State"] == "exited":
        return bool(container["ExitCode"])
    return container["State"] == "restarting" or container["Health"] == "unhealthy"


def _wait_for_dags(api: Api, files: int) -> None:
    say("waiting for Airflow to read the DAGs")
    for _ in range(SECONDS_TO_START):
        if are_read(api, files):
            return
        time.sleep(1)
    raise Failure(f"Airflow did not read its DAGs within {SECONDS_TO_START} s; see why: make airflow")
