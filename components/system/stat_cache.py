"""Hashes of files, cached by their `stat`: a file that keeps its size, times and inode is not read again.

The cache is a JSON file, {"name": [size, mtime_ns, ctime_ns, inode, hash], ...}. It can always be computed again, so
one that is missing or damaged counts as empty.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from components.system.files import write_atomically

# A file written again within one tick of its file system's clock looks unchanged: what is this recent is not cached
# (the "racy" entries of git's index: https://git-scm.com/docs/racy-git).
SETTLED_NS = 2 * 10**9


class StatCache:
    """The hashes in *file*, by the name and status of what was hashed."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._entries = _read(file)
        self._fresh: dict[str, str] = {}

    def get(self, name: str, status: os.stat_result) -> str | None:
        """The hash of *name* in its present state, None where it is unknown."""
        if name in self._fresh:
            return self._fresh[name]
        entry = self._entries.get(name)
        return str(entry[4]) if entry and entry[:4] == stamp(status) else None

    def knows(self, name: str) -> bool:
        """Whether a hash of *name* is known, of whatever state."""
        return name in self._entries

    def update(self, statuses: Mapping[str, os.stat_result], hashes: Mapping[str, str]) -> None:
        """Add *hashes*, and write those of the files *statuses* alone. Raises OSError."""
        self._fresh |= hashes
        settled = time.time_ns() - SETTLED_NS
        entries = {
            name: [*stamp(status), known]
            for name, status in statuses.items()
            if (known := self.get(name, status)) and max(status.st_mtime_ns, status.st_ctime_ns) < settled
        }
        if entries != self._entries:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.file, json.dumps(entries, separators=(",", ":")))


def stamp(status: os.stat_result) -> list[int | str]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _read(file: Path) -> dict[str, list[int | str]]:
    try:
        entries = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    valid = isinstance(entries, dict) and all(isinstance(e, list) and len(e) == 5 for e in entries.values())
    return entries if valid else {}
