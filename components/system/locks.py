"""Locks between processes, which the system frees when their holder dies; whoever waits says for whom."""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from components.progress import say
from components.system.background import beside

FIRST_SECONDS, REPEATED_SECONDS = 1.0, 60.0  # of waiting, before it is said and said again
MACHINE = os.uname().nodename


def acquire(handle: int, what: str) -> None:
    """Lock the open file *handle* for this process alone, as `wait` does; its content becomes the holder's identity."""
    wait(handle, what)
    with contextlib.suppress(OSError):  # on a full disk the lock holds, and its holder stays unnamed
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {MACHINE}\n".encode(), 0)


def wait(handle: int, what: str, operation: int = fcntl.LOCK_EX) -> None:
    """Lock the open file *handle*, whatever it holds, waiting while another process has it.

    A line says that *what*, such as "run 2026", is awaited, and which process holds it, after a second and each minute.
    """
    try:
        fcntl.flock(handle, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        with _announced(handle, what):
            fcntl.flock(handle, operation)


@contextlib.contextmanager
def _announced(handle: int, what: str) -> Iterator[None]:
    """Print the line until the block ends; from a thread, as the block waits in the system."""

    def announce(ended: threading.Event) -> None:
        seconds = FIRST_SECONDS
        while not ended.wait(seconds):
            say(f"  waiting for {what}, which {_holder(handle)} holds; Ctrl-C ends the waiting")
            seconds = REPEATED_SECONDS

    with beside(announce):
        yield


def _holder(handle: int) -> str:
    try:
        pid, _, machine = os.pread(handle, 300, 0).decode(errors="replace").strip().partition(" ")
    except OSError:  # opened for writing alone
        return "another process"
    if not pid.isdigit():
        return "another process"
    return f"process {pid}" if machine == MACHINE else f"process {pid} on {machine}"


def is_locked(path: Path) -> bool:
    """Whether a live process holds the lock on the file *path*; who may not open the file takes its holder for alive.

    The shared lock that this takes for a moment hinders no other reader.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
