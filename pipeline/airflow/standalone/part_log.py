"""The log of a part of Airflow: what it prints is appended; when a file is full, the older ones are kept, five in all.

scheduler.log  scheduler.log.1  ...  scheduler.log.4
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

KEPT, LARGEST = 5, 10 * 2**20  # files, and bytes of each
TAIL = 2**20  # bytes
LONGEST_LINE = 300
RECORD = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
# What the process of a task logged itself, what it printed, and what the process above it says of it.
OF_TASK = re.compile(r"\S+ \S+\+00:00 |.*\[(task(\.\w+)?|supervisor)\]")


class PartLog:
    """One log, into which one process writes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._begin = 0  # of what the present process has printed

    @contextlib.contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The log, open for a process that is about to start; readable by its owner alone."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self.rotate()
        with open(self._file, "ab", opener=_private) as stream:
            self._begin = stream.tell()
            yield stream

    def rotate(self) -> None:
        """Put a full file aside; its process goes on writing into the emptied one. A full disk leaves it as it is."""
        with contextlib.suppress(OSError):
            if self._file.stat().st_size > LARGEST:
                files = RotatingFileHandler(self._file, backupCount=KEPT - 1, delay=True)
                files.rotator = _move_content
                files.doRollover()
                files.close()
                self._begin = 0

    def last_words(self, lines: int = 5) -> str:
        """The end of what the present process printed, without what its tasks did."""
        own: list[str] = []
        of_task = False
        for line in self.printed().splitlines():
            if RECORD.match(line):
                of_task = bool(OF_TASK.match(line))
            if line.strip() and not of_task:
                own.append(line[:LONGEST_LINE])
        return "\n".join(own[-lines:]) or "it printed nothing"

    def printed(self) -> str:
        """What the present process printed; no more than TAIL bytes of it."""
        with self._file.open("rb") as stream:
            stream.seek(max(self._begin, stream.seek(0, os.SEEK_END) - TAIL))
            return stream.read().decode(errors="replace")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _move_content(source: str, target: str) -> None:
    """What is written between the two steps is lost; a file that is renamed would be written to for ever."""
    shutil.copy(source, target)
    os.truncate(source, 0)
