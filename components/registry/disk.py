"""A full or unwritable disk, distinguished from an MLflow that does not answer, whoever met it: Python or SQLite."""

import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
AGAIN = "run it again: what was finished is kept"
NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


def problem(error: BaseException, database: Path | None) -> str:
    """What is wrong with the disk, and what to do, where that is the cause of *error*; "" where it is not.

    *database* is the registry's file, if it is one.
    """
    for cause in causes(error):
        place = getattr(cause, "filename", None) or (database and database.absolute().parent)
        if _is_full(cause):
            where = f"the disk of {place}" if place else "a disk"
            return f"{where} is full; free some space (python -m pipeline gc), then {AGAIN}"
        if place and _is_protected(cause):
            return f"cannot write to {place} ({cause}); make it writable, then {AGAIN}"
    return ""


def causes(error: BaseException) -> Iterator[BaseException]:
    """*error*, what it was raised from, and so on to the first."""
    inner: BaseException | None = error
    while isinstance(inner, Exception):
        yield inner
        inner = inner.__cause__ or (None if inner.__suppress_context__ else inner.__context__)


def _is_full(error: BaseException) -> bool:
    return _has_errno(error, FULL) or _has_code(error, sqlite3.SQLITE_FULL)


def _is_protected(error: BaseException) -> bool:
    named = _has_errno(error, NOT_WRITABLE) and getattr(error, "filename", None) is not None
    return named or _has_code(error, sqlite3.SQLITE_READONLY)


def _has_errno(error: BaseException, numbers: set[int]) -> bool:
    return isinstance(error, OSError) and error.errno in numbers


def _has_code(error: BaseException, code: int) -> bool:
    """Whether SQLite raised *error* for this primary code (https://www.sqlite.org/rescode.html)."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF == code
