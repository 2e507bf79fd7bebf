"""Docker and its compose plugin, called as a person calls them; what is wrong with them is told in a sentence."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.errors import ConfigError, Unavailable

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker" / "compose.yaml"
NO_PLUGIN = "docker has no compose plugin; install it (docker-compose-plugin, or your system's package), then: make up"
Container = dict[str, Any]


class Engine:
    """The engine that *environment* names (DOCKER_HOST, or Docker's own default), and our containers on it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)

    def expect(self) -> None:
        """Raise ConfigError where docker or its plugin is missing, Unavailable where no engine answers."""
        if not _said(self._docker("compose", "version")):
            raise ConfigError(NO_PLUGIN)
        answer = self._docker("version", "--format", "{{.Server.Version}}")
        if not _said(answer):
            words = answer.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise Unavailable(
                f"the container engine does not answer ({words[0]}); start it (sudo systemctl start docker), or say "
                "where it is: DOCKER_HOST=unix:///PATH make up"
            )

    def processors(self) -> str:
        return _said(self._docker("info", "--format", "{{.NCPU}}")) or "1"

    def volume(self, name: str) -> str:
        """The full name of our volume *name*, "" where it is not there."""
        labels = (f"label=com.docker.compose.{key}" for key in (f"project={self.project()}", f"volume={name}"))
        filters = [part for label in labels for part in ("--filter", label)]
        return _said(self._docker("volume", "ls", "--quiet", *filters))

    def project(self) -> str:
        return str(json.loads(self.compose("config", "--no-interpolate", "--format", "json").stdout)["name"])

    def containers(self) -> list[Container]:
        """Service, Name, State, Health, ExitCode and Publishers of each of our containers."""
        lines = self.compose("ps", "--all", "--format", "json").stdout.splitlines()
        found = [json.loads(line) for line in lines if line]
        return found[0] if found and isinstance(found[0], list) else found  # one list, before compose 2.21

    def last_words(self, service: str, lines: int = 10) -> str:
        done = self.compose("logs", "--no-color", "--no-log-prefix", "--tail", str(lines), service)
        return done.stdout.strip() or done.stderr.strip()

    def compose(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """What `docker compose ARGUMENTS` answers; raises Unavailable where it fails."""
        done = self._docker("compose", "--file", str(FILE), *arguments)
        if done.returncode:
            raise Unavailable(f"docker compose {arguments[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def start(self, *arguments: str, **channels: Any) -> "subprocess.Popen[str]":
        """`docker compose ARGUMENTS`, going on by itself."""
        command = ["docker", "compose", "--file", str(FILE), *arguments]
        return subprocess.Popen(command, env=self.environment, text=True, stdin=subprocess.DEVNULL, **channels)

    def _docker(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(
                ["docker", *arguments],  # noqa: S607 - whichever the person calls
                env=self.environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except FileNotFoundError:
            raise ConfigError(
                "there is no docker on this machine; install Docker Engine with its compose plugin, then: make up. "
                "Without containers: make airflow"
            ) from None


def _said(done: "subprocess.CompletedProcess[str]") -> str:
    return done.stdout.strip() if done.returncode == 0 else ""
