"""The processes that train together, as the stage sees them: it starts those that run here, hears them, and ends them.

The stage's own process computes nothing meanwhile: a process of its own can be killed at any moment, gets TensorFlow
before anything else has used it, which the connection needs, and takes the connection with it when it ends. What the
chief leaves in *work* is what a training of one process leaves there (components.train.checkpoint), so that whoever
comes next goes on from it.
"""

import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components import errors
from components.errors import ConfigError, WorkerLost
from components.progress import say
from components.train.distributed import worker
from components.train.distributed.cluster import Cluster

ROOT = Path(__file__).parents[3]
PATIENCE = 600.0  # seconds for all workers to be there: the others' machines may have to be started
GRACE = 2.0  # seconds in which the one that ended is told from those that then miss it
TRIES = 3  # with other ports of this machine, where somebody took one meanwhile
AGAIN = "run it again: training goes on from the last finished epoch"

Message = dict[str, Any]
Watch = Callable[[list[dict[str, float]]], None]


class _PortTaken(Exception):
    """Somebody else listens where a worker of this machine was to listen."""


class _Process:
    """One worker."""

    def __init__(self, number: int, address: str, task: Message) -> None:
        self.number, self.address, self.up, self.done = number, address, False, False
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", worker.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the stage
            bufsize=0,  # what was said and not heard yet is left where `_ready` sees it
        )
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):  # it died: to be found out when it is heard
            self._process.stdin.write(json.dumps(task).encode() + b"\n")

    def __str__(self) -> str:
        return f"{'the chief' if self.number == 0 else f'worker {self.number}'} ({self.address})"

    def fileno(self) -> int:
        assert self._process.stdout
        return self._process.stdout.fileno()

    def hear(self) -> Message | None:
        """What it says next; None where it ended without a word."""
        assert self._process.stdout
        try:
            message: Message = json.loads(self._process.stdout.readline())
            return message
        except ValueError:  # nothing, or half a line
            return None

    def ending(self) -> str:
        """How it ended, which it did."""
        status = self._process.wait()
        return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"

    def end(self) -> None:
        """End it where it stands."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                assert pipe
                pipe.close()


def train(cluster: Cluster, task: Message, rows: list[dict[str, float]], watch: Watch | None) -> list[float]:
    """Do what is left of a training together; returns the seconds of each epoch, of which only the chief knows.

    *task* is what a worker is told (components.train.distributed.worker). *rows* is the history so far; *watch* is
    called with it after
    each epoch. Raises what ended the training in a worker, WorkerLost where one ended otherwise or never answered, and
    ConfigError where an address of TF_CONFIG is in use. Whichever way it ends, no process is left.
    """
    for _ in range(TRIES):
        addresses = cluster.addresses or free_addresses(cluster.size)
        try:
            return _Crew(cluster, addresses, task).train(rows, watch)
        except _PortTaken as taken:
            if cluster.addresses:
                raise ConfigError(
                    f"{taken} is in use by another process; expected a free port of this machine there in TF_CONFIG"
                ) from None
    raise WorkerLost(f"{TRIES} times another process took a port that had just been free; run it again")


def free_addresses(count: int) -> tuple[str, ...]:
    """As many addresses of this machine for itself, where nobody listens."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return tuple(f"127.0.0.1:{one.getsockname()[1]}" for one in sockets)


class _Crew:
    """The workers that run here, in one training."""

    def __init__(self, cluster: Cluster, addresses: tuple[str, ...], task: Message) -> None:
        threads = max(1, (os.cpu_count() or 1) // len(cluster.here))  # not of the cores allowed: that changes the bytes
        say(f"  {cluster.size} workers, {len(cluster.here)} of them here: {', '.join(addresses)}")
        given = {**task, "addresses": addresses, "threads": threads}
        self._processes = [_Process(k, addresses[k], {**given, "number": k}) for k in cluster.here]
        self._seconds: list[float] = []

    def train(self, rows: list[dict[str, float]], watch: Watch | None) -> list[float]:
        try:
            deadline = time.monotonic() + PATIENCE
            while waiting := [one for one in self._processes if not one.done]:
                missing = [one for one in waiting if not one.up]
                heard = _ready(waiting, max(0.0, deadline - time.monotonic()) if missing else None)
                if not heard:
                    raise WorkerLost(
                        f"{missing[0]} waited {PATIENCE:.0f} s for the other workers; start all within that time, with "
                        "TF_CONFIG the same but for the index, where they reach each other's ports"
                    )
                for one in heard:
                    message = one.hear()
                    if message and "row" in message:
                        rows.append(message["row"])
                        if watch:
                            watch(rows)
                    else:
                        self._take(one, message)
            return self._seconds
        finally:
            for one in self._processes:
                one.end()

    def _take(self, one: _Process, message: Message | None) -> None:
        """Act on what *one* said."""
        match message:
            case None:
                raise WorkerLost(f"{one} {one.ending()} while it trained with the others; {AGAIN}")
            case {"up": True}:
                one.up = True
            case {"done": seconds}:
                one.done, self._seconds = True, seconds or self._seconds
            case {"taken": address}:
                raise _PortTaken(address)
            case {"lost": reason}:
                self._find_dead(one)
                raise WorkerLost(f"{one} lost the other workers ({reason}); {AGAIN}")
            case {"error": name, "text": text}:
                raise getattr(errors, name)(text)

    def _find_dead(self, witness: _Process) -> None:
        """Raise WorkerLost of the one that *witness* misses, where it ran here and ended without a word."""
        others = [one for one in self._processes if one is not witness and not one.done]
        for one in _ready(others, GRACE) if others else []:
            if one.hear() is None:
                self._take(one, None)


def _ready(processes: list[_Process], seconds: float | None) -> list[_Process]:
    """Those that have something to say, or have ended, waited for *seconds* at most; None waits until one has."""
    with selectors.DefaultSelector() as selector:
        for one in processes:
            selector.register(one, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select(seconds)]  # type: ignore[misc]
