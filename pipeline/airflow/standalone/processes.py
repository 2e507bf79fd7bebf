"""The parts of a local Airflow, each a process in a session of its own, and how all of them are ended.

`airflow standalone` is not used: its log servers listen on every interface, ending it leaves processes behind, and it
starts no part again.
"""

import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from components.system.descendants import ending, kill_session
from components.system.processes import end_with_parent
from pipeline.airflow.standalone.part_log import PartLog

SECONDS_TO_END = 15
PAUSE = 0.05
KILLED = frozenset({"scheduler"})

Process = subprocess.Popen[bytes]


def module(*arguments: str) -> list[str]:
    """The command `python -m ARGUMENTS`."""
    return [sys.executable, "-m", *arguments]


@dataclass
class Parts:
    """The parts that run, by name, and the logs of all."""

    folder: Path  # of the logs
    environment: Mapping[str, str]
    started: dict[str, Process] = field(default_factory=dict)
    logs: dict[str, PartLog] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start *command* as the part *name*; its output goes to a log of its own."""
        log = self.logs.setdefault(name, PartLog(self.folder / f"{name}.log"))
        with log.opened() as stream:
            self.started[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=dict(self.environment),
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - no threads
            )

    def ended(self) -> list[str]:
        """The names of those that have ended by themselves."""
        return [name for name, process in self.started.items() if process.poll() is not None]

    def remove(self, name: str) -> str:
        """Kill what the part *name*, which has ended, had started in its session; returns how it ended."""
        process = self.started.pop(name)
        kill_session(process.pid)
        return ending(process.wait())

    def pids(self) -> list[int]:
        return [process.pid for process in self.started.values()]

    def last_words(self, name: str) -> str:
        """The end of the log of the part *name*, without what its tasks logged."""
        return self.logs[name].last_words()

    def rotate_logs(self) -> None:
        for log in self.logs.values():
            log.rotate()

    def stop(self) -> None:
        """End every part, and every process that one of them started in its session.

        The scheduler is killed, and the tasks with it: one that could report its end would have failed, and lost a try.
        Its next start takes them up.
        """
        for name in KILLED & self.started.keys():
            kill_session(self.started[name].pid)
        for process in self.started.values():
            process.terminate()
        _wait(self.started.values(), SECONDS_TO_END)
        for process in self.started.values():
            kill_session(process.pid)
            process.wait()
        self.started.clear()


def _wait(processes: Iterable[Process], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(process.poll() is None for process in processes):
        time.sleep(PAUSE)
