"""Folders that one process removes only while no other one reads or fills them.

The lock is on the folder itself, shared by its readers and held alone by who fills it; the system frees it however a
process ends. Where a file system locks no folders, none counts as held by a reader.
"""

import contextlib
import fcntl
import os
import tempfile
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


def new(folder: Path, prefix: str) -> tuple[Path, int]:
    """A new folder in *folder* to fill, and the handle that holds its lock until it is closed.

    Until then `left` is False for it. Raises OSError.
    """
    while True:  # repeated where a sweep comes between the two
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
        try:
            lock = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # swept already
            continue
        with contextlib.suppress(BlockingIOError):  # a sweep holds it and is about to remove it
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():
                return path, lock
        os.close(lock)


@contextlib.contextmanager
def left(path: Path) -> Iterator[bool]:
    """Whether who fills the folder *path* has ended, so that it may be removed within the block."""
    try:
        lock = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # renamed or removed since it was listed
        yield False
        return
    try:
        yield _locked_alone(lock, unlockable=False)
    finally:
        os.close(lock)


def _locked_alone(handle: int, *, unlockable: bool = True) -> bool:
    """Whether no other process has a lock on *handle*; *unlockable* where the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return unlockable
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
