"""The processes of a local Airflow, each in a process group of its own, and how all of them are ended.

`airflow standalone` is not used: its log servers listen on every interface, and ending it leaves processes behind.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from components.system.processes import end_with_parent

SECONDS_TO_END = 15


@dataclass
class Parts:
    """Processes by name, in the order in which they were started; the first one is ended last."""

    logs: Path
    environment: Mapping[str, str]
    started: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def start(self, name: str, arguments: Sequence[str]) -> None:
        """Start `python -m ARGUMENTS`; its output goes to a log file of its own."""
        self.logs.mkdir(parents=True, exist_ok=True)
        with open(self.logs / f"{name}.log", "wb", opener=_private) as log:
            self.started[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.environment),
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - no threads yet
            )

    def dead(self) -> list[str]:
        """The names of those that have ended by themselves."""
        return [name for name, process in self.started.items() if process.poll() is not None]

    def last_lines(self, name: str, lines: int = 5) -> str:
        """The end of its log."""
        text = (self.logs / f"{name}.log").read_text(errors="replace").strip()
        return "\n".join(text.splitlines()[-lines:])

    def stop(self) -> None:
        """End every part and every process that one of them started, tasks included; the first, the API server, comes
        last, so that a task can still report how it ended."""
        family = self._family()
        pids = [process.pid for process in self.started.values()]
        for group in (pids[1:], pids[:1]):
            for pid in group:
                _signal(pid, signal.SIGTERM)
            _wait(group, SECONDS_TO_END)
        left = [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        for process in left:
            process.terminate()
        _, left = psutil.wait_procs(left, SECONDS_TO_END)
        for process in left:
            process.kill()
        for part in self.started.values():
            part.wait()

    def _family(self) -> list[psutil.Process]:
        family = []
        for process in self.started.values():
            try:
                parent = psutil.Process(process.pid)
                family += [parent, *parent.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        return family


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _wait(pids: Sequence[int], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(_alive(pid) for pid in pids):
        time.sleep(0.1)


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
