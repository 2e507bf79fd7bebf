"""Processes that decode image files, one per core: decoding small images is Python's own work, so threads do not help.

parent -> child    {"paths": [...], "shape": null or [H, W, C]}
child -> parent    {"shapes": [...], "sha256": [...], "brightest": [...], "bytes": n} and n bytes after it,
                   or {"error", "text"}
"""

import os
import queue
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from components import errors
from components.system.processes import Child, Parent, failure_message, raise_failure

if TYPE_CHECKING:
    from components.ingest.reading.image_source import Shape

FEW = 2  # jobs that are done sooner than a process starts


@dataclass(frozen=True)
class Job:
    """Survey *paths* (shape None), or decode them to *shape*."""

    paths: Sequence[str]
    shape: "Shape | None" = None


@dataclass(frozen=True)
class Result:
    """Of a survey the shapes; of decoding what decoding.Decoded holds."""

    shapes: "list[Shape]" = field(default_factory=list)
    pixels: bytes = b""
    sha256: list[str] = field(default_factory=list)
    brightest: list[int] = field(default_factory=list)


def cores() -> int:
    """How many processes can compute at once here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work(jobs: Sequence[Job], processes: int) -> Iterator[Result]:
    """Do *jobs*, yielding the results in order; at most two jobs for each process are under way or waiting."""
    if processes < 2 or len(jobs) <= FEW:
        yield from map(_do, jobs)
        return
    with ExitStack() as stack:
        idle: queue.SimpleQueue[Child] = queue.SimpleQueue()
        for _ in range(min(processes, len(jobs))):
            idle.put(stack.enter_context(Child(__name__)))
        threads = stack.enter_context(ThreadPoolExecutor(processes))
        pending: deque[Future[Result]] = deque()
        stack.callback(lambda: [future.cancel() for future in pending])
        for job in jobs:
            pending.append(threads.submit(_delegate, idle, job))
            if len(pending) == 2 * processes:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _delegate(idle: "queue.SimpleQueue[Child]", job: Job) -> Result:
    child = idle.get()
    try:
        child.send({"paths": list(job.paths), "shape": job.shape})
        message = child.receive() or {}
        raise_failure(message)
        pixels = child.receive_bytes(message.get("bytes", 0))
        if not message or len(pixels) < message["bytes"]:
            raise errors.Unavailable(
                f"a process that decodes images {child.ending()}, most likely for lack of memory; run it again"
            )
        shapes = [(h, w, c) for h, w, c in message["shapes"]]
        return Result(shapes, pixels, message["sha256"], message["brightest"])
    finally:
        idle.put(child)


def _do(job: Job) -> Result:
    from components.ingest.reading import decoding

    if job.shape is None:
        return Result(decoding.survey(job.paths))
    return Result([], *decoding.decode(job.paths, job.shape))


def _serve() -> None:
    """Do the parent's jobs, one after the other."""
    parent = Parent()
    while True:
        job = parent.receive()
        try:
            result = _do(Job(job["paths"], job["shape"] and tuple(job["shape"])))
        except errors.Failure as failure:
            parent.send(failure_message(failure))
        else:
            header = {"shapes": result.shapes, "sha256": result.sha256, "brightest": result.brightest}
            parent.send({**header, "bytes": len(result.pixels)}, result.pixels)


if __name__ == "__main__":
    _serve()
