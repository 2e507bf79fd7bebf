"""Processes that decode image files, one per core: decoding small images is Python's own work, so threads do not help.

parent -> child    {"paths": [...], "shape": null or [H, W, C], "resizing": ["pad", "lanczos"], "tolerant": false}
child -> parent    {"shapes", "pages", "problems", "sha256", "brightest", "channels": [...], "bytes": n} and n bytes
                   after it, or {"error", "text"}
"""

import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING

from components import errors
from components.data.pictures.resizing import Resizing, Shape

if TYPE_CHECKING:  # a few files start no process
    from concurrent.futures import Future

    from components.system.processes import Child

FEW = 2  # jobs that are done sooner than a process starts
SHARED_BYTES = 10**9


@dataclass(frozen=True)
class Job:
    """Survey *paths* (shape None), or decode them to *shape*, for which *memory* bytes are needed.

    *tolerant* is that of `decoding.decode`.
    """

    paths: Sequence[str]
    shape: Shape | None = None
    resizing: Resizing = field(default_factory=Resizing)
    memory: int = 0
    tolerant: bool = False


@dataclass(frozen=True)
class Result:
    """Of a survey what decoding.Surveyed holds; of decoding what decoding.Decoded holds."""

    shapes: list[Shape] = field(default_factory=list)
    pages: list[bool] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    sha256: list[str] = field(default_factory=list)
    brightest: list[int] = field(default_factory=list)
    channels: list[int] = field(default_factory=list)
    pixels: bytes | memoryview = b""


class Memory:
    """The bytes that the processes share; a job that needs more than all of them is alone."""

    def __init__(self, total: int) -> None:
        self._total = self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def reserved(self, needed: int) -> Iterator[None]:
        """Wait until *needed* bytes are free, and hold them."""
        needed = min(needed, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= needed)
            self._free -= needed
        try:
            yield
        finally:
            with self._changed:
                self._free += needed
                self._changed.notify_all()


def work(jobs: Iterable[Job], processes: int) -> Iterator[Result]:
    """Do *jobs*, yielding the results in order; at most two jobs for each process are under way or waiting.

    The jobs under way share SHARED_BYTES of memory, and are taken from *jobs* as they begin.
    """
    jobs = iter(jobs)
    first = list(islice(jobs, max(FEW + 1, processes)))
    jobs = chain(first, jobs)
    if processes < 2 or len(first) <= FEW:
        yield from map(_do, jobs)
        return
    from concurrent.futures import ThreadPoolExecutor

    from components.system.processes import Child

    with ExitStack() as stack:
        idle: queue.SimpleQueue[Child] = queue.SimpleQueue()
        for _ in range(min(processes, len(first))):
            idle.put(stack.enter_context(Child(__name__)))
        threads = stack.enter_context(ThreadPoolExecutor(processes))
        memory = Memory(SHARED_BYTES)
        pending: deque[Future[Result]] = deque()
        stack.callback(lambda: [future.cancel() for future in pending])
        for job in jobs:
            pending.append(threads.submit(_delegate, idle, memory, job))
            if len(pending) == 2 * processes:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _delegate(idle: "queue.SimpleQueue[Child]", memory: Memory, job: Job) -> Result:
    with memory.reserved(job.memory):
        child = idle.get()
        try:
            return _result_of(child, job)
        finally:
            idle.put(child)


def _result_of(child: "Child", job: Job) -> Result:
    from components.system.processes import raise_failure

    child.send({"paths": list(job.paths), "shape": job.shape, "resizing": job.resizing, "tolerant": job.tolerant})
    message = child.receive() or {}
    raise_failure(message)
    pixels = child.receive_bytes(message.get("bytes", 0))
    if not message or len(pixels) < message.pop("bytes"):
        raise errors.Unavailable(
            f"a process that decodes images {child.ending()}, most likely for lack of memory; run it again"
        )
    shapes = [(height, width, channels) for height, width, channels in message.pop("shapes")]
    return Result(shapes, **message, pixels=pixels)


def _do(job: Job) -> Result:
    from components.data.pictures import decoding

    if job.shape is None:
        return Result(**decoding.survey(job.paths)._asdict())
    return Result(**decoding.decode(job.paths, job.shape, job.resizing, tolerant=job.tolerant)._asdict())


def _serve() -> None:
    """Do the parent's jobs, one after the other."""
    from components.system.processes import Parent, failure_message

    parent = Parent()
    while True:
        job = parent.receive()
        try:
            shape = job["shape"] and tuple(job["shape"])
            result = asdict(_do(Job(job["paths"], shape, Resizing(*job["resizing"]), tolerant=job["tolerant"])))
        except errors.Failure as failure:
            parent.send(failure_message(failure))
        else:
            pixels = result.pop("pixels")
            parent.send({**result, "bytes": len(pixels)}, pixels)


if __name__ == "__main__":
    _serve()
