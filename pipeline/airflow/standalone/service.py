"""`make airflow` as a service of the system: python -m pipeline.airflow.standalone.service [--host HOST] [--port PORT]

Writes a user unit of systemd, or an agent of launchd on macOS, with the present settings, and prints the commands that
enable it, show it and remove it. It is started again whenever it ends.
"""

import argparse
import os
import plistlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.errors import Failure, StorageFailed
from components.progress import say
from components.system.files import write_atomically
from pipeline.airflow.standalone.environment import ROOT, settings_variables
from pipeline.airflow.standalone.preflight import expect_settings
from pipeline.home import Home

SECONDS_BETWEEN_STARTS, SECONDS_TO_STOP = 30, 90
PRIVATE = 0o600  # the settings may hold keys

UNIT = """\
[Unit]
Description=Scheduled retraining: Airflow on port {port}
StartLimitIntervalSec=0

[Service]
Type=exec
WorkingDirectory={folder}
{environment}
ExecStart={command}
Restart=always
RestartSec={pause}
KillMode=mixed
TimeoutStopSec={stop}
SuccessExitStatus=129 130 143

[Install]
WantedBy=default.target
"""
SYSTEMD = """\
wrote {file}
start it, now and at each login (at each start of the machine: loginctl enable-linger):
  systemctl --user daemon-reload && systemctl --user enable --now {name}
see whether it runs, and what it prints:
  systemctl --user status {name}
  journalctl --user --unit {name} --follow
remove it:
  systemctl --user disable --now {name}; rm {file}"""
LAUNCHD = """\
wrote {file}
start it, now and at each login:
  launchctl bootstrap gui/$(id -u) {file}
see whether it runs, and what it prints:
  launchctl print gui/$(id -u)/{name}
  tail -f {log}
remove it:
  launchctl bootout gui/$(id -u)/{name}; rm {file}"""


@dataclass(frozen=True)
class Service:
    """A program that is to run always."""

    port: int
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path  # of launchd, which has no journal

    @property
    def name(self) -> str:
        """One for each port: a machine may run several."""
        return f"retraining-airflow-{self.port}"

    def unit(self) -> str:
        """The unit of systemd: man systemd.service, systemd.exec."""
        variables = (f"{name}={value}" for name, value in sorted(self.environment.items()))
        return UNIT.format(
            port=self.port,
            folder=str(ROOT).replace("%", "%%"),
            environment="\n".join(f"Environment={_quoted(variable)}" for variable in variables),
            command=" ".join(_quoted(word).replace("$", "$$") for word in self.command),
            pause=SECONDS_BETWEEN_STARTS,
            stop=SECONDS_TO_STOP,
        )

    def agent(self) -> bytes:
        """The agent of launchd: man launchd.plist."""
        return plistlib.dumps(
            {
                "Label": self.name,
                "ProgramArguments": list(self.command),
                "WorkingDirectory": str(ROOT),
                "EnvironmentVariables": dict(self.environment),
                "RunAtLoad": True,
                "KeepAlive": True,
                "ThrottleInterval": SECONDS_BETWEEN_STARTS,
                "ExitTimeOut": SECONDS_TO_STOP,
                "StandardErrorPath": str(self.log),
            }
        )

    def write(self, platform: str) -> str:
        """Write the file of the *platform*'s service manager; returns what to do with it."""
        if platform == "darwin":
            file = Path.home() / "Library" / "LaunchAgents" / f"{self.name}.plist"
            content, text = self.agent(), LAUNCHD
        else:
            folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
            file = Path(folder) / "systemd" / "user" / f"{self.name}.service"
            content, text = self.unit().encode(), SYSTEMD
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, content, mode=PRIVATE)
        except OSError as error:
            raise StorageFailed(f"{file} cannot be written ({error.strerror}); make its folder writable") from None
        return text.format(file=shlex.quote(str(file)), name=self.name, log=shlex.quote(str(self.log)))


def _quoted(word: str) -> str:
    """A word of a unit: in quotes, without systemd's specifiers."""
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("\n", "\\n")):
        word = word.replace(character, escaped)
    return f'"{word}"'


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m pipeline.airflow.standalone.service", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--mlflow-port", type=int, default=5000)
    options = parser.parse_args(arguments)
    home = Home.from_environment()
    where = ("--host", options.host, "--port", str(options.port), "--mlflow-port", str(options.mlflow_port))
    command = (sys.executable, "-m", "pipeline.airflow", *where)
    try:
        expect_settings()
        home.prepare()
        service = Service(options.port, command, settings_variables(home), home.root / "airflow-service.log")
        say(service.write(sys.platform))
    except Failure as error:
        say(f"error: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
