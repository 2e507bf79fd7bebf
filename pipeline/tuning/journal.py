"""The file of a study: Optuna's journal, a line of JSON for each change, which all processes of a search append to.

What Optuna 5.0 does not do for it, by optuna/storages/journal/:

* `JournalStorage` records no heartbeats; `RetryHeartbeatStaleTrialCallback` needs the SQL storage, and counts a stale
  trial as failed before it retries it under another number. `Study.requeue` keeps the number.
* Its own locks are files that a killed process leaves behind, taken for dead after 30 s. `flock` ends with its process.
* A last line that a full disk cut off would be joined with the next one, and the study lost.
"""

import os
from pathlib import Path

import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage

from components.errors import ConfigError, StorageFailed
from components.system import locks
from pipeline.home import Home

optuna.logging.set_verbosity(optuna.logging.ERROR)  # it announces each trial, and so does the search


class FileLock(JournalFileOpenLock):
    """A lock between processes, which the system frees when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._path, self._handle = path, -1

    def acquire(self) -> bool:
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT)
        locks.acquire(self._handle, self._path.name)
        return True

    def release(self) -> None:
        os.close(self._handle)


def path(home: Home, name: str) -> Path:
    return home.tuning / f"{name}.journal"


def open_journal(home: Home, name: str) -> JournalStorage:
    """The trials of the study *name*; raises StorageFailed where its file is not a journal."""
    file = path(home, name)
    try:
        return JournalStorage(JournalFileBackend(str(file), FileLock(home.root / "locks" / f"tune-{name}.journal")))
    except (ValueError, LookupError, TypeError) as error:
        raise StorageFailed(
            f"the study {file} cannot be read ({error}); move the file away to begin the study again"
        ) from error


def prepare(home: Home, name: str) -> None:
    """Make the file of the study *name* ready to be opened; only the holder of the study's lock may do so.

    Raises ConfigError where the study was kept in SQLite, as searches once did.
    """
    home.tuning.mkdir(exist_ok=True)
    database = home.tuning / f"{name}.db"
    if database.exists():
        raise ConfigError(
            f"study {name} is in {database}, written by an earlier version, and cannot be resumed; name another study "
            "with --study NAME, or delete the file to begin it again"
        )
    _cut_unfinished_line(path(home, name))


def _cut_unfinished_line(file: Path) -> None:
    content = file.read_bytes() if file.exists() else b""
    unfinished = content.rpartition(b"\n")[2]
    if unfinished.startswith(b"{"):
        os.truncate(file, len(content) - len(unfinished))
