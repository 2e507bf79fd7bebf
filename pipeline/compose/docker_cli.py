"""Docker and its compose plugin, through their command line; what is wrong with them is said in a sentence."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TypedDict

from components.errors import ConfigError, Unavailable

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker" / "compose.yaml"
ERASE_LINE = "\x1b[2K"  # before each line that compose 2.26 logs without a prefix, whatever --ansi is
NO_DOCKER = (
    "there is no docker on this machine; install Docker Engine with its compose plugin, then: make up. "
    "Without containers: make airflow"
)
NO_PLUGIN = "docker has no compose plugin; install it (docker-compose-plugin, or your system's package), then: make up"


class Publisher(TypedDict):
    URL: str  # the address, without the port
    PublishedPort: int


class Container(TypedDict):
    """A container, as `docker compose ps --format json` describes it."""

    ID: str
    Name: str
    Service: str
    State: str
    Health: str
    ExitCode: int
    Publishers: list[Publisher] | None


class Engine:
    """The engine that *environment* names (DOCKER_HOST, or Docker's default), and our containers on it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)

    def require(self) -> None:
        """Raise ConfigError where docker or its plugin is missing, Unavailable where no engine answers."""
        if not _output(self._docker("compose", "version")):
            raise ConfigError(NO_PLUGIN)
        done = self._docker("version", "--format", "{{.Server.Version}}")
        if not _output(done):
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise Unavailable(
                f"the container engine does not answer ({reason[0]}); start it (sudo systemctl start docker), or give "
                "its address: DOCKER_HOST=unix:///PATH make up"
            )

    def processors(self) -> str:
        return _output(self._docker("info", "--format", "{{.NCPU}}")) or "1"

    def volume(self, name: str) -> str:
        """The full name of our volume *name*, "" where it does not exist."""
        labels = (f"label=com.docker.compose.{key}" for key in (f"project={self.project()}", f"volume={name}"))
        filters = [part for label in labels for part in ("--filter", label)]
        return _output(self._docker("volume", "ls", "--quiet", *filters))

    def project(self) -> str:
        return str(json.loads(self.compose("config", "--no-interpolate", "--format", "json").stdout)["name"])

    def containers(self) -> list[Container]:
        """Our containers, those that ended included."""
        lines = self.compose("ps", "--all", "--format", "json").stdout.splitlines()
        rows = [json.loads(line) for line in lines if line]
        return rows[0] if rows and isinstance(rows[0], list) else rows  # one list, before compose 2.21

    def log(self, service: str, lines: int = 10) -> str:
        """The last *lines* of the log of *service*."""
        done = self.compose("logs", "--no-color", "--no-log-prefix", "--tail", str(lines), service)
        return (done.stdout or done.stderr).replace(ERASE_LINE, "").strip()

    def compose(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `docker compose ARGUMENTS` and return its output; raises Unavailable where it fails."""
        done = self._docker("compose", "--file", str(FILE), *arguments)
        if done.returncode:
            raise Unavailable(f"docker compose {arguments[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def start(self, *arguments: str, output: IO[bytes] | None = None) -> "subprocess.Popen[bytes]":
        """Start `docker compose ARGUMENTS`, which writes to *output*, or to the terminal."""
        return subprocess.Popen(
            ["docker", "compose", "--file", str(FILE), *arguments],  # noqa: S607 - as below
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def _docker(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(
                ["docker", *arguments],  # noqa: S607 - the one that the user calls
                env=self.environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except FileNotFoundError:
            raise ConfigError(NO_DOCKER) from None


def _output(done: "subprocess.CompletedProcess[str]") -> str:
    return done.stdout.strip() if done.returncode == 0 else ""
