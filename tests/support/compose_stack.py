"""The containers for the tests: `make up` with a project name, ports and volumes of their own, driven over REST."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.airflow.standalone.rest_client import Api
from pipeline.compose import credentials
from pipeline.compose.docker_cli import Container, Engine
from tests.conftest import CLEAN, ROOT
from tests.support import ended_with_us
from tests.support.airflow_server import PAUSE, Served, Value, free_port

PROJECT = "retraining-pipeline-tests"
SECONDS = 420
MAKE = ("make", "--no-print-directory")
SETTINGS = """\
[schedule]
cron = ""
watch = ""
retry_seconds = 20
"""


@dataclass(kw_only=True)
class Stack(Served):
    """The running containers; `process` ends when that of the API server does."""

    engine: Engine
    mlflow: str
    output: str  # of `make up`

    def until(self, look: Callable[[], Value | None], seconds: float = SECONDS, pause: float = PAUSE) -> Value:
        """As `Served.until`; the API server does not answer while it has no database."""

        def look_again() -> Value | None:
            with suppress(OSError):
                return look()
            return None

        return super().until(look_again, seconds, pause)

    def containers(self, service: str) -> list[Container]:
        return [container for container in self.engine.containers() if container["Service"] == service]

    def worker_of(self, run: str, task: str) -> str:
        """The name of the container in which the task runs or ran; the name of its host begins the container's ID."""
        host = str(self.tasks(run)[task]["hostname"])
        return next(str(c["Name"]) for c in self.containers("worker") if host and str(c["ID"]).startswith(host))

    def training(self, run: str, number: int = 1) -> str:
        """The worker of try *number* of the training, as soon as this try has saved an epoch."""
        self.until(lambda: self.tasks(run)["train"]["state"] == "running")
        self.until(lambda: self.log(run, "train", number).count("val_loss") >= 2)
        return self.worker_of(run, "train")

    def docker(self, *arguments: str) -> str:
        done = subprocess.run(
            ["docker", *arguments], env=self.engine.environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def running(self, service: str) -> list[str]:
        """The names of the running containers of the service."""
        return [c["Name"] for c in self.containers(service) if c["State"] == "running"]

    def healthy(self, service: str) -> bool:
        containers = self.containers(service)
        return bool(containers) and all(container["Health"] == "healthy" for container in containers)


@contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """The containers, all healthy; none of them is left after the block."""
    environment = _environment(folder)
    guard = ended_with_us.start(
        ["tail", "-f", "/dev/null"], then=f"{' '.join(MAKE)} down VOLUMES=1", cwd=ROOT, env=environment
    )
    try:
        output = make("up", environment)
        engine, secrets = Engine(environment), Path(environment["SECRETS"])
        api = Api(f"http://127.0.0.1:{environment['PORT']}", credentials.USER, credentials.password(secrets))
        [server] = [c["Name"] for c in engine.containers() if c["Service"] == "airflow-api"]
        lives = ended_with_us.start(["docker", "wait", server], env=environment, stdout=subprocess.PIPE)
        with lives:
            yield Stack(
                folder, folder, folder / "settings.toml", lives, api, credentials.password(secrets),
                engine=engine, mlflow=f"http://127.0.0.1:{environment['MLFLOW_PORT']}", output=output,
            )  # fmt: skip
            lives.terminate()
    finally:
        make("down", {**environment, "VOLUMES": "1"})
        guard.terminate()
        guard.wait()
    assert left(environment) == []


def make(target: str, environment: dict[str, str]) -> str:
    """The messages of `make TARGET`, which has to succeed."""
    done = subprocess.run([*MAKE, target], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def left(environment: dict[str, str]) -> list[str]:
    """Containers, networks and volumes of the project that are still there."""
    filters = ("--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}")
    commands = (["ps", "--all"], ["network", "ls"], ["volume", "ls"])
    outputs = [
        subprocess.run(
            ["docker", *command, *filters], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for command in commands
    ]
    return "".join(outputs).split()


def _environment(folder: Path) -> dict[str, str]:
    folder.chmod(0o755)  # pytest closes its folders to other users, such as those of the containers
    (folder / "settings.toml").write_text(SETTINGS)
    return {
        **CLEAN,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "COMPOSE_PROJECT_NAME": PROJECT,
        "PORT": str(free_port()),
        "MLFLOW_PORT": str(free_port()),
        "SERVE_PORT": str(free_port()),
        "SETTINGS": str(folder),
        "SECRETS": str(folder / "secrets"),
    }
