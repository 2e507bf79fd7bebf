"""Folders that one process removes only while no other one reads them.

The lock is on the folder itself and shared by its readers; the system frees it however a process ends. Where a file
system locks no folders, none counts as held.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from components.system import locks

_of_this_process: dict[Path, int] = {}  # the handle of each folder that this process holds


def hold(folder: Path) -> bool:
    """Hold *folder* until this process ends and note the time of its use; False where it does not exist."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return False
    with contextlib.suppress(OSError):
        locks.wait(handle, str(folder), fcntl.LOCK_SH)
    if not _is_at(folder, handle):  # removed while this process waited
        os.close(handle)
        return False
    with contextlib.suppress(PermissionError):  # who may only read it reads it all the same
        os.utime(folder)
    _release(folder)
    _of_this_process[folder] = handle
    return True


@contextlib.contextmanager
def withdrawing(folder: Path) -> Iterator[bool]:
    """Whether no other process holds *folder*, so that it may be renamed or removed; within the block none can."""
    _release(folder)
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        yield True
        return
    try:
        yield _locked_alone(handle)
    finally:
        os.close(handle)


def _locked_alone(handle: int) -> bool:
    with contextlib.suppress(OSError):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _is_at(folder: Path, handle: int) -> bool:
    """Whether the open *handle* is that of what is now at *folder*."""
    try:
        return os.path.samestat(os.fstat(handle), folder.stat())
    except FileNotFoundError:
        return False


def _release(folder: Path) -> None:
    if (handle := _of_this_process.pop(folder, None)) is not None:
        os.close(handle)
