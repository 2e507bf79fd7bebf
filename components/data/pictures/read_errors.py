"""The system's errors while a source is read, as failures that name the file."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from components.errors import Failure, SourceChanged, SourceError, SourceUnreachable
from components.system.files import NotRegular

DENIED = "permission denied"


@contextmanager
def read_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn every OSError of the system into a failure that names *path*; a library's own OSErrors have no number."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise _failure(os.fspath(path), error) from None


def _failure(path: str, error: OSError) -> Failure:
    if isinstance(error, FileNotFoundError):
        return SourceChanged(f"{path} disappeared while it was being read; run it again")
    if isinstance(error, PermissionError):
        return SourceError(f"{path} cannot be read: {DENIED}; make it readable")
    if isinstance(error, IsADirectoryError | NotRegular) or error.errno == errno.ENXIO:  # a socket, too
        return SourceError(f"{path} is not a regular file; remove it")
    return SourceUnreachable(f"{path} cannot be read: {error.strerror}; check the disk or the share, and run it again")
