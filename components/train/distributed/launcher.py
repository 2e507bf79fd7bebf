"""Starts the workers of a distributed training that run on this machine, watches them, and ends them.

The stage's own process computes nothing meanwhile. A worker has a process of its own because such a process can be
killed at any moment, gets TensorFlow before anything else has used it, as the collective operations need, and takes its
connections with it when it ends. The chief leaves in the work folder what a training with one worker leaves there
(components.train.checkpoint), so that either can resume the other.
"""

import contextlib
import socket
import time

from components.artifact_files import HistoryRow
from components.errors import ConfigError, WorkerLost
from components.progress import say
from components.system.processes import Child, Message, raise_failure, ready
from components.train.distributed import worker as worker_program
from components.train.distributed.cluster import Cluster
from components.train.task import Task, Watch

START_TIMEOUT = 600.0  # seconds until all workers are there: the other machines may have to be started
EXIT_TIMEOUT = 2.0  # seconds in which a worker that others miss is known to have ended
ATTEMPTS = 3  # with other ports of this machine, where another process took one meanwhile
RETRY = "run it again: training resumes after the last finished epoch"


class _PortTaken(Exception):
    """Another process listens at a worker's address on this machine."""


class _Worker(Child):
    """A worker process on this machine."""

    def __init__(self, number: int, addresses: tuple[str, ...], task: Task) -> None:
        super().__init__(worker_program.__name__)
        self.number, self.address, self.connected, self.done = number, addresses[number], False, False
        message: worker_program.WorkerMessage = {
            "task": task.message(),
            "addresses": list(addresses),
            "number": number,
        }
        self.send(message)

    def __str__(self) -> str:
        return f"{'the chief' if self.number == 0 else f'worker {self.number}'} ({self.address})"


def train(cluster: Cluster, task: Task, rows: list[HistoryRow], watch: Watch | None) -> list[float]:
    """Run *task* to its last epoch on all workers; returns the seconds of each epoch, which only the chief knows.

    *rows* is the history so far; *watch* is called with it after each epoch. Raises the failure that ended a worker,
    WorkerLost where one ended otherwise or never answered, and ConfigError where an address of TF_CONFIG is in use.
    However it ends, no process is left.
    """
    for _ in range(ATTEMPTS):
        addresses = cluster.addresses or free_addresses(cluster.size)
        try:
            return _train(cluster, addresses, task, rows, watch)
        except _PortTaken as taken:
            if cluster.addresses:
                raise ConfigError(
                    f"{taken} is in use by another process; expected a free port of this machine there in TF_CONFIG"
                ) from None
    raise WorkerLost(f"{ATTEMPTS} times another process took a port that had just been free; run it again")


def free_addresses(count: int) -> tuple[str, ...]:
    """Addresses of this machine where nobody listens, reachable from this machine alone."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return tuple(f"127.0.0.1:{listener.getsockname()[1]}" for listener in sockets)


def _train(
    cluster: Cluster, addresses: tuple[str, ...], task: Task, rows: list[HistoryRow], watch: Watch | None
) -> list[float]:
    say(f"  {cluster.size} workers, {len(cluster.here)} of them here: {', '.join(addresses)}")
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(_Worker(number, addresses, task)) for number in cluster.here]
        return _Workers(workers).train(rows, watch)


class _Workers:
    """The workers on this machine during one training."""

    def __init__(self, workers: list[_Worker]) -> None:
        self._workers = workers
        self._seconds: list[float] = []

    def train(self, rows: list[HistoryRow], watch: Watch | None) -> list[float]:
        deadline = time.monotonic() + START_TIMEOUT
        while running := [worker for worker in self._workers if not worker.done]:
            for worker in self._next(running, deadline):
                message = worker.receive()
                if message and "row" in message:
                    rows.append(message["row"])
                    if watch:
                        watch(rows)
                else:
                    self._handle(worker, message)
        return self._seconds

    def _next(self, running: list[_Worker], deadline: float) -> list[_Worker]:
        """The workers that sent something or ended; raises WorkerLost where not all are connected at *deadline*."""
        missing = [worker for worker in running if not worker.connected]
        answering = ready(running, max(0.0, deadline - time.monotonic()) if missing else None)
        if not answering:
            raise WorkerLost(
                f"{missing[0]} waited {START_TIMEOUT:.0f} s for the other workers; start all within that time, with "
                "TF_CONFIG the same but for the index, where they reach each other's ports"
            )
        return answering

    def _handle(self, worker: _Worker, message: Message | None) -> None:
        match message:
            case None:
                raise WorkerLost(f"{worker} {worker.ending()} during the distributed training; {RETRY}")
            case {"connected": True}:
                worker.connected = True
            case {"done": seconds}:
                worker.done, self._seconds = True, seconds or self._seconds
            case {"taken": address}:
                raise _PortTaken(address)
            case {"lost": reason}:
                self._raise_for_ended(worker)
                raise WorkerLost(f"{worker} lost the other workers ({reason}); {RETRY}")
            case _:
                raise_failure(message)

    def _raise_for_ended(self, witness: _Worker) -> None:
        """Raise WorkerLost for the worker that *witness* misses, where it ran here and ended without a message."""
        others = [worker for worker in self._workers if worker is not witness and not worker.done]
        for worker in ready(others, EXIT_TIMEOUT) if others else []:
            if worker.receive() is None:
                self._handle(worker, None)
