"""Leases: what a live process has looked up, or makes, is not deleted under it.

    artifacts/.leases/
      gate             held, shared, by who writes a lease; alone, by who deletes an artifact
      4f1c9a20-k3v9    what a process of machine 4f1c9a20 leases, a line `train/5f0c2d9a41b7e836` each; locked while
                       the process lives, so that the system frees its leases however it ends

There is no moment at which an artifact is both relied on and deleted. A reader writes its lease first and looks for
the artifact second; `gc` reads the leases and renames the artifact away in one go, while it holds the gate alone.
Either the lease is written before, and `gc` sees it; or after, and the reader finds no artifact, as if there had never
been one.

Where a file system does not carry locks between machines, the leases of another machine count for a week, as its drafts
do, and the gate keeps out the processes of this machine only.
"""

import atexit
import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from components.system import locks
from components.system.canonical import sha256

MACHINE = sha256(os.uname().nodename)[:8]
DAYS_TO_DIE = 7  # of a process of another machine, whose locks may not be visible here

Item = tuple[str, str]  # (stage, key)


@dataclass(frozen=True)
class Lease:
    """What this process leases in one store: its file, the handle that holds the lock, and the content."""

    path: Path
    handle: int
    process: int  # a fork inherits the handle, but writes a lease of its own
    items: set[Item] = field(default_factory=set)


_of_this_process: dict[Path, Lease] = {}  # by the folder of leases


class Leases:
    """The leases of a store, in *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, stage: str, key: str) -> None:
        """Lease an artifact until this process ends; to be called before anything relies on its existence.

        Without effect where this process may not write, so that who may read the store can read it.
        """
        lease = self._own()
        if lease and (stage, key) in lease.items:
            return
        with contextlib.suppress(OSError):
            self.folder.mkdir(exist_ok=True)
            with self._gate(fcntl.LOCK_SH):
                lease = lease or self._new()
                os.write(lease.handle, f"{stage}/{key}\n".encode())
                lease.items.add((stage, key))

    def others(self) -> set[Item]:
        """What other live processes lease."""
        return {item for path in self._files() if _is_held(path) for item in _items(path)}

    @contextlib.contextmanager
    def withdrawing(self, stage: str, key: str) -> Iterator[bool]:
        """Whether an artifact may be deleted; within the block no process can lease anything."""
        with self.withdrawing_all([(stage, key)]) as free:
            yield bool(free)

    @contextlib.contextmanager
    def withdrawing_all(self, items: Sequence[Item]) -> Iterator[list[Item]]:
        """Those of *items* that may be deleted, in the same way."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._gate(fcntl.LOCK_EX):
            others = self.others()
            yield [item for item in items if item not in others]

    def sweep(self) -> None:
        """Remove the leases of processes that were killed."""
        if not self._files():
            return
        with self._gate(fcntl.LOCK_EX):  # or one that is being written would look like one of them
            for path in self._files():
                if not _is_held(path):
                    path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        """The leases of other processes."""
        own = self._own()
        return [path for path in self.folder.glob("*-*") if own is None or path != own.path]

    def _own(self) -> Lease | None:
        lease = _of_this_process.get(self.folder)
        return lease if lease and lease.process == os.getpid() else None

    def _new(self) -> Lease:
        handle, name = tempfile.mkstemp(prefix=f"{MACHINE}-", dir=self.folder)
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.fchmod(handle, 0o644)  # another user's `gc` reads it
        lease = _of_this_process[self.folder] = Lease(Path(name), handle, os.getpid())
        atexit.register(_end, lease)
        return lease

    @contextlib.contextmanager
    def _gate(self, operation: int) -> Iterator[None]:
        access = os.O_RDWR if operation == fcntl.LOCK_EX else os.O_RDONLY  # as NFS requires
        handle = os.open(self.folder / "gate", access | os.O_CREAT, 0o666)
        try:
            locks.wait(handle, "the leases of artifacts", operation)
            yield
        finally:
            os.close(handle)


def is_elsewhere(path: Path, machine: str) -> bool:
    """Whether a live process of another machine than this one may hold *path*, whose lock may not be visible here."""
    if machine == MACHINE:
        return False
    try:
        return time.time() - path.stat().st_mtime < DAYS_TO_DIE * 86_400
    except FileNotFoundError:  # published or removed since it was listed
        return True


def _is_held(path: Path) -> bool:
    """Whether the process that wrote the lease *path* lives."""
    return locks.is_locked(path) or is_elsewhere(path, path.name.partition("-")[0])


def _items(path: Path) -> Iterator[Item]:
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            stage, _, key = line.partition("/")
            yield stage, key


def _end(lease: Lease) -> None:
    if lease.process == os.getpid():
        with contextlib.suppress(OSError):
            lease.path.unlink()
