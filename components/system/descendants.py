"""Processes that are killed with all that they started, whatever that did to get away.

On Linux an orphan of any depth becomes a child of the process that called `adopt_orphans`, so neither a session of its
own nor a double fork saves it. Elsewhere those are found that stayed in the session, or whose parent lives.
"""

import ctypes
import os
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress

import psutil

PR_SET_CHILD_SUBREAPER = 36  # https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html
SECONDS = 10.0  # that killed processes have to disappear; one that waits for a broken disk needs longer
PAUSE = 0.01


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent dies, also after an exec. Linux alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


@contextmanager
def no_descendants_left() -> Iterator[None]:
    """Kill, when the block is left, all that this process and its descendants have started."""
    adopt_orphans()
    try:
        yield
    finally:
        kill_children()


def ending(status: int) -> str:
    """How a process ended whose exit status is *status*, which is negative after a signal."""
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"


def kill_session(leader: int) -> None:
    """Kill the processes of the session *leader*, and all that they started; returns when they are gone."""
    _kill(lambda: (process for process in psutil.process_iter() if _session(process.pid) == leader))


def kill_children(kept: Collection[int] = ()) -> None:
    """Kill every child of this process but *kept*, and all that these children started; returns when they are gone."""
    _kill(lambda: (child for child in psutil.Process().children() if child.pid not in kept))


def reap_orphans(kept: Collection[int] = ()) -> None:
    """Take the exit status of every orphan that has ended; *kept* are children that somebody else waits for."""
    if not _has_ended_child():  # to list the children reads the status of every process of the machine
        return
    for child in psutil.Process().children():
        if child.pid not in kept and not _lives(child):
            _reap(child.pid)


def _has_ended_child() -> bool:
    """Whether a child of this process waits for its status to be taken. Linux alone: elsewhere nothing is adopted."""
    with suppress(ChildProcessError):
        return sys.platform == "linux" and bool(os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT))
    return False


def _kill(find: Callable[[], Iterable[psutil.Process]]) -> None:
    """Kill what *find* finds until it finds nothing: a process may start another one meanwhile."""
    end = time.monotonic() + SECONDS
    killed: set[int] = set()
    while (found := _with_descendants(find())) and time.monotonic() < end:
        for process in sorted(found, key=_start_time):  # a parent before its children, whose end it would report
            with suppress(psutil.NoSuchProcess):
                process.kill()
        killed |= {process.pid for process in found}
        time.sleep(PAUSE)
    for pid in killed:
        _reap(pid)


def _with_descendants(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """*processes* and all that they started, each once, without those that have ended."""
    found: dict[int, psutil.Process] = {}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found |= {each.pid: each for each in (process, *process.children(recursive=True))}
    return [process for process in found.values() if _lives(process)]


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _start_time(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        return float(process.create_time())
    return 0.0


def _session(pid: int) -> int:
    """The session of the process *pid*; 0 where it has ended."""
    with suppress(OSError):
        return os.getsid(pid)
    return 0


def _reap(pid: int) -> None:
    """Take the exit status of *pid* where it is a child of this process."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
