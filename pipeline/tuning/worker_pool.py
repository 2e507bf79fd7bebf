"""The processes that train, as the search sees them."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from pipeline.home import Home

ROOT = Path(__file__).parents[2]


class Died(Exception):
    """The process of a trial ended before the trial did."""


class Worker:
    """A process of pipeline.tuning.trial_worker, begun by `start`, anew where it died; what it prints goes to *log*."""

    def __init__(self, home: Home, cores: Sequence[int], log: Path) -> None:
        self.log = log
        self._arguments = [",".join(map(str, cores))] if cores else []
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._environment = {**os.environ, "PYTHONPATH": path, "PIPELINE_HOME": str(home.root)}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.end()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.tuning.trial_worker", *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the search
                text=True,
            )

    def fileno(self) -> int:
        return self._heard.fileno()

    @property
    def _heard(self) -> IO[str]:
        assert self._process
        assert self._process.stdout
        return self._process.stdout

    @property
    def _said(self) -> IO[str]:
        assert self._process
        assert self._process.stdin
        return self._process.stdin

    def send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # it died: to be found out when it is heard
            self._said.write(json.dumps(message) + "\n")
            self._said.flush()

    def receive(self) -> dict[str, Any]:
        """The next message; raises Died, with the exit status, where none will come."""
        try:
            message: dict[str, Any] = json.loads(self._heard.readline())
            return message
        except ValueError:  # nothing, or half a line
            assert self._process
            raise Died(_ending(self._process.wait())) from None

    def end(self) -> None:
        """End the process where it stands; a training goes on from its last finished epoch."""
        if self._process:
            self._process.kill()
            self._process.wait()
            for pipe in (self._said, self._heard):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
            self._process = None


def shares(count: int) -> list[list[int]]:
    """The cores that each of *count* processes keeps to; empty for one alone, and where a system cannot do that."""
    if count < 2 or not hasattr(os, "sched_setaffinity"):
        return [[]] * count
    cores = sorted(os.sched_getaffinity(0))
    return [cores[i % len(cores) :: count] for i in range(count)]


def _ending(status: int) -> str:
    if status < 0:
        return f"its process was killed by signal {-status}, often for want of memory"
    return f"its process ended with status {status}"


def ready(workers: Sequence[Worker], seconds: float | None) -> list[Worker]:
    """Those of *workers* that have something to say, waited for *seconds* at most; None waits until one has."""
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            selector.register(worker, selectors.EVENT_READ)
        found = selector.select(seconds)
        return [worker for worker in workers if any(key.fileobj is worker for key, _ in found)]


@contextlib.contextmanager
def ending(workers: list[Worker]) -> Iterator[None]:
    """Leave none of *workers* behind, whichever way the block ends."""
    try:
        yield
    finally:
        for worker in workers:
            worker.end()
