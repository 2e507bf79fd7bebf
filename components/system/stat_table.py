"""What is known of a million files by their status: read and written in the order of their names, a group at a time.

    FILE
      [files, bytes of the names, bytes of the values, checksum]     a line of JSON
      their names, NUL between them; their statuses, four int64 each; their values, NUL between them
      [...]                                                          the next group

What follows a damaged group counts as unknown: it can always be computed again.
"""

import json
import os
import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from components.system import stat_cache
from components.system.files import written_atomically

GROUP = 10_000  # files
LONGEST_HEAD = 200  # bytes
STATUS = struct.Struct("4q")


class Status(NamedTuple):
    """What of a file's status shows that it is what it was."""

    st_size: int
    st_mtime_ns: int
    st_ctime_ns: int
    st_ino: int

    @classmethod
    def of(cls, status: "os.stat_result | Status") -> "Status":
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class Row(NamedTuple):
    name: str
    status: bytes  # of STATUS
    value: str


class StatTable:
    """The values in *file*, by the name and status of a file; both are given and taken in the order of the names."""

    def __init__(self, file: Path) -> None:
        self.file, self.rows = file, 0

    def known(self, files: Iterable[tuple[str, Status]]) -> Iterator[str | None]:
        """The value of each of *files* in its present state, None where it is unknown; `rows` is set at the end."""
        rows = self._rows()
        row = next(rows, None)
        for name, status in files:
            while row and row.name < name:
                row = next(rows, None)
            known = row and row.name == name and row.status == STATUS.pack(*status)
            yield row.value if row and known else None
        for _ in rows:
            ...

    def _rows(self) -> Iterator[Row]:
        try:
            with self.file.open("rb") as file:
                most = os.fstat(file.fileno()).st_size
                while line := file.readline(LONGEST_HEAD):
                    files, names, values, checksum = json.loads(line)
                    content = file.read(min(most, names + files * STATUS.size + values))
                    if _checksum(files, names, values, content) != checksum:
                        return
                    self.rows += files
                    yield from _parsed(content, files, names)
        except (OSError, ValueError, TypeError, struct.error):
            return

    def keep(self, rows: Iterable[tuple[str, Status, str]]) -> None:
        """Write *rows*, and nothing else, but for files that changed just now. Raises OSError."""
        settled = time.time_ns() - stat_cache.SETTLED_NS
        lasting = (row for row in rows if max(row[1].st_mtime_ns, row[1].st_ctime_ns) < settled)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with written_atomically(self.file) as file:
            while group := list(islice(lasting, GROUP)):
                names = b"\0".join(os.fsencode(name) for name, _, _ in group)
                values = b"\0".join(os.fsencode(value) for _, _, value in group)
                content = names + b"".join(STATUS.pack(*status) for _, status, _ in group) + values
                sizes = len(group), len(names), len(values)
                head = [*sizes, _checksum(*sizes, content)]
                file.write(json.dumps(head).encode() + b"\n" + content)


def _checksum(files: int, names: int, values: int, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(f"{files} {names} {values}".encode()))


def _parsed(content: bytes, files: int, names: int) -> Iterator[Row]:
    end = names + files * STATUS.size
    statuses = (content[start : start + STATUS.size] for start in range(names, end, STATUS.size))
    columns = ([os.fsdecode(text) for text in part.split(b"\0")] for part in (content[:names], content[end:]))
    for name, status, value in zip(next(columns), statuses, next(columns), strict=True):
        yield Row(name, status, value)
