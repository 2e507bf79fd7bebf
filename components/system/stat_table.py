"""What is known of a million files by their status: read and written in the order of their names, a group at a time.

    FILE
      [files, bytes of the names, bytes of the values, checksum]     a line of JSON
      their names, NUL between them; their statuses, four int64 each; their values, NUL between them
      [...]                                                          the next group

What follows a damaged group counts as unknown: it can always be computed again.
"""

import json
import os
import time
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from pathlib import Path
from typing import NamedTuple

from components.system import stat_cache
from components.system.files import written_atomically

GROUP = 10_000  # files
LONGEST_HEAD = 200  # bytes
FIELDS = 4  # of a status
STATUS = FIELDS * array("q").itemsize  # bytes


class Status(NamedTuple):
    """What of a file's status shows that it is what it was."""

    st_size: int
    st_mtime_ns: int
    st_ctime_ns: int
    st_ino: int

    @classmethod
    def of(cls, status: "os.stat_result | Status") -> "Status":
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class StatedFiles(NamedTuple):
    """Files in the order of their names, and their statuses: the fields of one after those of another."""

    names: Sequence[str]
    statuses: "array[int]"

    @classmethod
    def of(cls, files: Iterable[tuple[str, Status]]) -> "StatedFiles":
        names, statuses = list[str](), array("q")
        for name, status in files:
            names.append(name)
            statuses.extend(status)
        return cls(names, statuses)

    def part(self, start: int, end: int) -> "StatedFiles":
        return StatedFiles(self.names[start:end], self.statuses[FIELDS * start : FIELDS * end])

    def newest(self) -> int:
        """The latest time of a change, ns; 0 of no file."""
        return max(chain(self.statuses[1::FIELDS], self.statuses[2::FIELDS]), default=0)


class Group(NamedTuple):
    files: StatedFiles
    values: list[str]

    def known(self, files: StatedFiles) -> Sequence[str | None]:
        """The value of each of *files*, None where it is unknown or was that of another status."""
        if files == self.files:
            return self.values
        rows = {name: row for row, name in enumerate(self.files.names)}
        places, (now, then) = map(rows.get, files.names), (of.statuses.tobytes() for of in (files, self.files))
        return [
            self.values[row] if row is not None and _status(then, row) == _status(now, place) else None
            for place, row in enumerate(places)
        ]


class StatTable:
    """The values in *file*, by the name and status of a file; both are given and taken in the order of the names."""

    def __init__(self, file: Path) -> None:
        self.file, self.rows = file, 0

    def known(self, files: StatedFiles) -> Iterator[str | None]:
        """The value of each of *files* in its present state, None where it is unknown; `rows` is set at the end."""
        done = 0
        for group in self._groups():
            end = bisect_right(files.names, group.files.names[-1], done)
            yield from group.known(files.part(done, end))
            done = end
        yield from repeat(None, len(files.names) - done)

    def _groups(self) -> Iterator[Group]:
        try:
            with self.file.open("rb") as file:
                most = os.fstat(file.fileno()).st_size
                while line := file.readline(LONGEST_HEAD):
                    files, names, values, checksum = json.loads(line)
                    content = file.read(min(most, names + files * STATUS + values))
                    if _checksum(files, names, values, content) != checksum:
                        return
                    self.rows += files
                    yield _parsed(content, files, names)
        except (OSError, ValueError, TypeError):
            return

    def keep(self, files: StatedFiles, values: Iterable[str | None]) -> None:
        """Write *files* with their *values*, and nothing else, but for files that changed just now or have no value.

        Raises OSError.
        """
        settled, of_files = time.time_ns() - stat_cache.SETTLED_NS, iter(values)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with written_atomically(self.file) as file:
            for start in range(0, len(files.names), GROUP):
                group = Group(files.part(start, start + GROUP), [value or "" for value in islice(of_files, GROUP)])
                file.write(_written(_lasting(group, settled)))


def _lasting(group: Group, settled: int) -> Group:
    """Those of *group* that changed before *settled* and have a value."""
    if all(group.values) and group.files.newest() < settled:
        return group
    files = group.files
    parts = (files.part(place, place + 1) for place in range(len(files.names)))
    rows = [(part, value) for part, value in zip(parts, group.values, strict=True) if value and part.newest() < settled]
    statuses = array("q", chain.from_iterable(part.statuses for part, _ in rows))
    return Group(StatedFiles([part.names[0] for part, _ in rows], statuses), [value for _, value in rows])


def _written(group: Group) -> bytes:
    """The bytes of *group* in the table; none where it is empty."""
    if not group.values:
        return b""
    names, values = (os.fsencode("\0".join(texts)) for texts in (group.files.names, group.values))
    content = names + group.files.statuses.tobytes() + values
    sizes = len(group.values), len(names), len(values)
    return json.dumps([*sizes, _checksum(*sizes, content)]).encode() + b"\n" + content


def _checksum(files: int, names: int, values: int, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(f"{files} {names} {values}".encode()))


def _parsed(content: bytes, files: int, names: int) -> Group:
    end = names + files * STATUS
    statuses = array("q", content[names:end])
    texts = [os.fsdecode(part).split("\0") for part in (content[:names], content[end:])]
    if not len(texts[0]) == len(texts[1]) == files:
        raise ValueError("a group of another number of files")
    return Group(StatedFiles(texts[0], statuses), texts[1])


def _status(statuses: bytes, place: int) -> bytes:
    """The one of the file at *place*."""
    return statuses[STATUS * place : STATUS * (place + 1)]
