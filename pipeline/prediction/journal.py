"""FILE.partial: the rows of FILE that are answered so far, so that an interrupted run can be resumed.

    {"model": "digits-classifier", "version": "3", "model_sha256": "...", "top": 1}
    ["pictures/1.png", null, [["7", 0.99]], ""]
    ...

Rows are appended block by block. The last line of a process that was killed may be cut off: it is dropped.
"""

import fcntl
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

import msgspec

from components.errors import ConfigError
from components.public_text import public
from pipeline.prediction.reading import Name
from pipeline.prediction.rows import Row
from pipeline.prediction.tables import write_errors

SUFFIX = ".partial"


class Answering(msgspec.Struct, frozen=True):
    """What the rows of one file have in common."""

    model: str
    version: str
    model_sha256: str
    top: int


class Journal:
    """The rows so far, their number, and how many of them have an error; `opened` gives it."""

    def __init__(self, target: Path, path: Path, file: IO[bytes], answering: Answering) -> None:
        self._target, self._path, self._file = target, path, file
        self.count = self.errors = 0
        if first := file.readline():
            self._expect(answering, first)
            self._drop_cut_off()
        else:
            self._write(msgspec.json.encode(answering) + b"\n")

    def _expect(self, answering: Answering, first: bytes) -> None:
        """Raise ConfigError unless the rows that are there were begun by what is *answering* now."""
        try:
            begun = msgspec.json.decode(first, type=Answering)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._reject(f"is no file of rows ({error})")
        if begun != answering:
            self._reject(
                f"was begun by version {begun.version} of {begun.model} with --top {begun.top}, and this is version "
                f"{answering.version} of {answering.model} with --top {answering.top}"
            )

    def _drop_cut_off(self) -> None:
        """End the file after its last whole line."""
        start, whole = self._file.tell(), self._file.tell()
        for line in self._file:
            whole += len(line) if line.endswith(b"\n") else 0
        self._file.truncate(max(start, whole))

    def rows(self) -> Iterator[Row]:
        """Every row, from the first one on."""
        decoder = msgspec.json.Decoder(Row)
        self._file.seek(0)
        for number, line in enumerate(self._file, 1):
            if number > 1:
                try:
                    yield decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    self._reject(f"is damaged in line {number} ({error})")

    def resumed(self, names: Iterable[Name]) -> int:
        """How many rows are there; raises ConfigError unless they are the first ones of *names*."""
        for row, name in itertools.zip_longest(self.rows(), names):
            if row is None:
                break
            if name is None or row.picture != public_name(name):
                self._reject(f"has {row.picture} in row {self.count + 1}, where {name or 'nothing'} comes now")
            self._add(row)
        return self.count

    def _add(self, row: Row) -> None:
        self.count += 1
        self.errors += bool(row.error)

    def append(self, rows: Iterable[Row]) -> None:
        """Add the *rows* of a block."""
        encode, lines = msgspec.json.Encoder().encode, list[bytes]()
        for row in rows:
            self._add(row)
            lines.append(encode(row) + b"\n")
        self._write(b"".join(lines))

    def _write(self, content: bytes) -> None:
        with write_errors(self._target):
            self._file.seek(0, os.SEEK_END)
            self._file.write(content)
            self._file.flush()

    def discard(self) -> None:
        """To be called once FILE is whole."""
        self._path.unlink(missing_ok=True)

    def _reject(self, problem: str) -> NoReturn:
        raise ConfigError(f"{self._path} {problem}; delete it to begin again, without --resume")


def public_name(name: Name) -> Name:
    """*name* as rows have it, with printable characters alone."""
    return Name(public(name.file), name.number)


@contextmanager
def opened(target: Path, answering: Answering, resume: bool) -> Iterator[Journal]:
    """The journal of the file *target*, for this process alone; raises ConfigError where another one writes it."""
    path = target.with_name(target.name + SUFFIX)
    if target.exists() and not (resume and path.exists()):
        raise ConfigError(f"{target} exists; name another file, or delete it")
    with write_errors(target):
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")
    with file:
        _lock(file, path)
        if not resume and os.fstat(file.fileno()).st_size:
            raise ConfigError(f"{path} was left by an interrupted run: resume that with --resume, or delete it")
        yield Journal(target, path, file, answering)


def _lock(file: IO[bytes], path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(f"another process writes to {path}; name another file") from None
