"""A full or unwritable disk as a StorageFailed that says what to do."""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from components.errors import StorageFailed

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}


@contextlib.contextmanager
def storage_errors(root: Path) -> Iterator[None]:
    """Turn a full or unwritable disk below *root* into a StorageFailed that names the folder and what to do.

    An error at a path elsewhere is not the workspace's, and a file that is missing (ENOENT) or in the way (EEXIST,
    EISDIR) is a bug: both stay what they are.
    """
    try:
        yield
    except OSError as error:
        if not _concerns(error, root):
            raise
        if error.errno in FULL or _cut_off(error) or (error.errno not in NOT_WRITABLE and _is_full(root)):
            raise StorageFailed(
                f"the disk of {root} is full; free some space (python -m pipeline gc) or set PIPELINE_HOME to another "
                "disk, then run it again: what was finished is kept"
            ) from error
        if error.errno in NOT_WRITABLE:
            raise StorageFailed(
                f"cannot write to {error.filename or root} ({error.strerror}); "
                "make it writable or set PIPELINE_HOME to a folder that is"
            ) from error
        raise


def _concerns(error: OSError, root: Path) -> bool:
    """Whether *error* happened below *root* or at a folder that holds it; a failed write names no file."""
    if not isinstance(error.filename, str):
        return True
    path = Path(error.filename)
    return path.is_relative_to(root) or root.is_relative_to(path)


def _cut_off(error: OSError) -> bool:
    """Whether NumPy wrote less than it had to: it raises without a number, also where a quota ends before the disk."""
    return error.errno is None and str(error).endswith("written")


def _is_full(root: Path) -> bool:
    return any(shutil.disk_usage(p).free < 2**20 for p in (root, *root.parents) if p.exists())
