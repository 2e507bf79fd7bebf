"""Start the containers, tell how far they are, and end them."""

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import IO

from components.errors import Failure, Unavailable
from components.progress import say
from pipeline.airflow.standalone.preflight import are_read, expect_free
from pipeline.airflow.standalone.rest_client import Api
from pipeline.compose import credentials
from pipeline.compose import environment as variables
from pipeline.compose.docker_cli import ROOT, Container, Engine

HOST = "127.0.0.1"
SECONDS_TO_START = 600


def up(environment: Mapping[str, str]) -> None:
    """Build, start, and come back when all are healthy and the DAGs are read. Raises Failure where they do not.

    Called while they run it brings up to date what has changed, and leaves the rest alone.
    """
    engine = Engine(environment)
    engine.expect()
    engine.environment |= variables.chosen(environment, engine.processors())
    secrets = variables.secrets(environment)
    ours = {port["PublishedPort"] for container in engine.containers() for port in container["Publishers"] or []}
    for variable in variables.PORTS:
        if (port := int(engine.environment[variable])) not in ours:
            expect_free(HOST, port, variable, "make up")
    credentials.ensure(secrets, engine.volume("postgres"))
    begun = time.monotonic()
    build(engine)
    start(engine)
    api = Api(f"http://{HOST}:{engine.environment['PORT']}", credentials.USER, credentials.password(secrets))
    for _ in _seconds("Airflow did not read its DAGs", "make airflow"):
        if are_read(api, ROOT / "dags"):
            break
    _announce(engine, api.url, credentials.password(secrets), time.monotonic() - begun)


def down(environment: Mapping[str, str], *, volumes: bool) -> None:
    """End and remove the containers and their networks; *volumes*: what they keep and the secrets too."""
    engine = Engine(environment)
    engine.expect()
    engine.compose("down", "--remove-orphans", *(["--volumes"] if volumes else []))
    if volumes:
        credentials.forget(variables.secrets(environment))
        say("ended, and everything that was kept is forgotten: artifacts, registry, history, secrets")
    else:
        say("ended; the volumes are kept, and make up goes on with them (make down VOLUMES=1 forgets them)")


def build(engine: Engine) -> None:
    """Build the images, the engine's progress on a terminal; raises Unavailable where that fails."""
    say("building the images (minutes the first time, seconds when nothing changed)")
    if sys.stderr.isatty():
        failed, why = engine.start("build").wait(), "the reason stands above"
    else:
        with tempfile.TemporaryFile("w+") as said:
            failed, why = engine.start("build", "--quiet", stdout=said, stderr=said).wait(), _last(said)
    if failed:
        raise Unavailable(f"the images cannot be built: {why}; what was built is kept, call make up again")


def start(engine: Engine) -> None:
    """Start the services in their order and wait for each to be healthy; raises Unavailable where one is not."""
    with tempfile.TemporaryFile("w+") as said:
        starting = engine.start("up", "--detach", "--no-build", "--remove-orphans", stdout=said, stderr=said)
        begun, told = time.monotonic(), ""
        for _ in _seconds("the containers did not become healthy", "docker compose -f docker/compose.yaml logs"):
            containers = engine.containers()
            if (line := _line(containers)) != told:
                say(f"  {time.monotonic() - begun:4.0f} s  {line}")
                told = line
            if status := starting.poll():
                raise Unavailable(_why(engine, containers) or f"the containers do not start: {_last(said)}")
            if status == 0 and not any(_waited_for(container) for container in containers):
                return


def _waited_for(container: Container) -> bool:
    """Whether it has yet to become healthy, or, where it does one thing and ends, to end well."""
    if container["State"] == "running":
        return container["Health"] in ("starting", "unhealthy")
    return bool(container["State"] != "exited" or container["ExitCode"])


def _line(containers: list[Container]) -> str:
    """The services by how they are: "healthy: postgres redis  starting: mlflow"."""
    groups: dict[str, list[str]] = {}
    for container in sorted(containers, key=lambda container: str(container["Name"])):
        state = container["Health"] or container["State"]
        groups.setdefault(state, []).append(container["Service"])
    return "   ".join(f"{state}: {' '.join(groups[state])}" for state in sorted(groups, reverse=True))


def _failed(container: Container) -> bool:
    if container["State"] == "exited":
        return bool(container["ExitCode"])
    return bool(container["State"] == "restarting" or container["Health"] == "unhealthy")


def _why(engine: Engine, containers: list[Container]) -> str:
    """What the first service that failed last said; "" where none did."""
    bad = [c["Service"] for c in containers if _failed(c)]
    return f"{bad[0]} did not start; its last words:\n{engine.last_words(bad[0])}" if bad else ""


def _last(said: IO[str]) -> str:
    said.seek(0)
    return (said.read().strip().splitlines() or ["no reason given"])[-1]


def _seconds(failure: str, look: str) -> Iterator[int]:
    for second in range(SECONDS_TO_START):
        yield second
        time.sleep(1)
    raise Failure(f"{failure} within {SECONDS_TO_START} s; see why: {look}")


def _announce(engine: Engine, url: str, password: str, seconds: float) -> None:
    say(f"all parts are healthy after {seconds:.0f} s")
    say(f"Airflow is ready: {url}   user {credentials.USER}   password {password}")
    say(f"MLflow is ready:  http://{HOST}:{engine.environment['MLFLOW_PORT']}")
    say("make down ends it; the volumes are kept")
