"""Processes that read pictures, one per core: decoding small pictures is Python's own work, so threads do not help.

They are plain child processes over pipes: they do not import the main program again, may be started from a process that
may have no children by multiprocessing's rules, and end by themselves when their parent is killed.

    parent -> child    {"paths": [...], "shape": null or [H, W, C]}, a line of JSON
    child -> parent    {"shapes": [...], "sha256": [...], "bytes": n} and n bytes after it, or {"error", "text"}
"""

import json
import os
import queue
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components import errors

if TYPE_CHECKING:
    from components.ingest.sources.base import Shape

ROOT = Path(__file__).parents[3]
FEW = 2  # jobs that are done sooner than a process starts


@dataclass(frozen=True)
class Job:
    """Look at *paths* (shape None), or decode them to *shape*."""

    paths: Sequence[str]
    shape: "Shape | None" = None


@dataclass(frozen=True)
class Done:
    """What came of a job: the shapes that were seen, or the pixels one after the other and the files' sha256."""

    shapes: "list[Shape]" = field(default_factory=list)
    pixels: bytes = b""
    sha256: list[str] = field(default_factory=list)


def cores() -> int:
    """How many processes may compute at once here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work(jobs: Sequence[Job], processes: int) -> Iterator[Done]:
    """Do *jobs*, yielding in their order what came of each; at most two for each process are under way or waiting."""
    if processes < 2 or len(jobs) <= FEW:
        yield from map(_do, jobs)
        return
    with ExitStack() as stack:
        idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        for _ in range(min(processes, len(jobs))):
            idle.put(stack.enter_context(_child()))
        threads = stack.enter_context(ThreadPoolExecutor(processes))
        pending: deque[Future[Done]] = deque()
        stack.callback(lambda: [future.cancel() for future in pending])
        for job in jobs:
            pending.append(threads.submit(_ask, idle, job))
            if len(pending) == 2 * processes:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


@contextmanager
def _child() -> Iterator[subprocess.Popen[bytes]]:
    child = _start()
    try:
        yield child
    finally:
        assert child.stdin is not None
        assert child.stdout is not None
        with suppress(BrokenPipeError):  # it may have died with a job still in its pipe
            child.stdin.close()
        child.stdout.close()
        child.wait()


def _start() -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "components.ingest.sources.decode_workers"]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    )


def _ask(idle: "queue.SimpleQueue[subprocess.Popen[bytes]]", job: Job) -> Done:
    child = idle.get()
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps({"paths": list(job.paths), "shape": job.shape}).encode() + b"\n")
        child.stdin.flush()
        reply: dict[str, Any] = json.loads(child.stdout.readline() or b"{}")
        if "error" in reply:
            raise getattr(errors, reply["error"])(reply["text"])
        if not reply:
            raise BrokenPipeError
        pixels = child.stdout.read(reply.get("bytes", 0))
        return Done([(h, w, c) for h, w, c in reply.get("shapes", [])], pixels, reply.get("sha256", []))
    except BrokenPipeError:
        status = child.wait()
        raise errors.Unavailable(
            f"a process that reads pictures ended with status {status}, most likely for want of memory; run it again"
        ) from None
    finally:
        idle.put(child)


def _do(job: Job) -> Done:
    from components.ingest.sources import decoding

    if job.shape is None:
        return Done(decoding.survey(job.paths))
    pixels, sha256 = decoding.decode(job.paths, job.shape)
    return Done([], pixels, sha256)


def _serve() -> None:
    """Answer jobs until standard input ends; Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        job = json.loads(line)
        try:
            done = _do(Job(job["paths"], job["shape"] and tuple(job["shape"])))
            reply = {"shapes": done.shapes, "sha256": done.sha256, "bytes": len(done.pixels)}
        except errors.Failure as failure:
            done, reply = Done(), {"error": type(failure).__name__, "text": str(failure)}
        sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n" + done.pixels)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve()
