"""PostgreSQL and Redis from Debian's packages, on loopback and free ports, in temporary folders."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import ended_with_us
from tests.support.airflow_server import free_port

POSTGRESQL = "PostgreSQL is not installed: apt-get install --no-install-recommends postgresql-15"
REDIS = "Redis is not installed: apt-get install --no-install-recommends redis-server"
SECONDS = 120
OWNER = "postgres" if os.geteuid() == 0 else ""  # PostgreSQL refuses to run as root


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, the newest where there are several; None where there is none."""
    initdb = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return initdb[-1].parent if initdb else None


def missing() -> str:
    """Which of both servers is not installed, as a reason to skip a test; "" for neither."""
    installed = {POSTGRESQL: programs(), REDIS: shutil.which("redis-server")}
    return "; ".join(reason for reason, program in installed.items() if not program)


@dataclass
class Server:
    """A program that listens on *port*, and can be stopped and restarted there."""

    port: int
    command: Sequence[str]
    answers: Sequence[str]  # a command that succeeds once the server answers
    folder: Path  # with its log; goes with the tests
    owner: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = ended_with_us.start(
                self.command, user=self.owner, then=f"rm -rf {shlex.quote(str(self.folder))}",
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        end = time.monotonic() + SECONDS
        while subprocess.run(self.answers, capture_output=True, check=False).returncode:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end, f"{self.command[0]} does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """End it at once, open connections or not."""
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(SECONDS)

    @contextmanager
    def running(self) -> Iterator["Server"]:
        try:
            self.start()
            yield self
        finally:
            self.stop()


@contextmanager
def postgres(*databases: str) -> Iterator[Server]:
    """PostgreSQL with empty *databases*, each reached as the user airflow without a password."""
    bin_ = programs()
    assert bin_
    with _folder(OWNER) as folder:
        data = folder / "data"
        who = ["-U", "airflow", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        initdb = [str(bin_ / "initdb"), "-D", str(data), *who]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **_as(OWNER))
        port = free_port()
        at = ["-h", "127.0.0.1", "-p", str(port), "-U", "airflow"]
        options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        command = [str(bin_ / "postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in options.items())]
        ready = [str(bin_ / "pg_isready"), "-q", *at, "-d", "postgres"]
        with Server(port, command, ready, folder, OWNER).running() as server:
            for database in databases:
                subprocess.run([bin_ / "createdb", *at, database], check=True)
            yield server


@contextmanager
def redis() -> Iterator[Server]:
    """Redis that writes nothing to disk: stopped and started again, it has forgotten every message."""
    with _folder("") as folder:
        port = free_port()
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        ready = ["redis-cli", "-p", str(port), "ping"]
        with Server(port, command, ready, folder).running() as server:
            yield server


@contextmanager
def _folder(owner: str) -> Iterator[Path]:
    """A folder below the system's temporary one: pytest's own are closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    try:
        if owner:
            shutil.chown(folder, owner, owner)
        yield folder
    finally:
        shutil.rmtree(folder)


def _as(owner: str) -> dict[str, Any]:
    return {"user": owner, "group": owner, "extra_groups": []} if owner else {}
