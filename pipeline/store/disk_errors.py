"""A full, failing or unusable disk as a StorageFailed that says what to do."""

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from components.errors import StorageFailed

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NOT_USABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}
UNCLEAN: int = getattr(errno, "EUCLEAN", errno.EIO)  # a damaged file system; macOS has neither this nor the next one
REMOTE: int = getattr(errno, "EREMOTEIO", errno.EIO)
FAILING = {errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.EBADMSG, UNCLEAN, REMOTE}


@contextlib.contextmanager
def storage_errors(root: Path) -> Iterator[None]:
    """Turn the error of a full, failing or unusable disk below *root* into a StorageFailed that says what to do.

    An error at a path elsewhere is not the workspace's, unless a disk fails, and a file that is missing (ENOENT) or in
    the way (EEXIST, EISDIR) is a bug: both stay what they are. An error without a path is that of a write or a read.
    """
    try:
        yield
    except OSError as error:
        if sentence := _sentence(error, root):
            raise StorageFailed(sentence) from error
        raise


def _sentence(error: OSError, root: Path) -> str:
    """What happened and what to do; "" where *error* is not the workspace's."""
    name = error.filename2 if error.errno in FULL and error.filename2 else error.filename  # a copy fills its target
    named = isinstance(name, str)
    place = name if named else root
    if named and not _concerns(Path(name), root):
        failed = f"the disk failed at {place} ({error.strerror}); check it (dmesg), then run it again"
        return failed if error.errno in FAILING else ""
    if error.errno in FULL or _cut_off(error) or (error.errno is None and _is_full(root)):
        return _full(root)
    if error.errno in FAILING:
        return (
            f"the disk failed at {place} ({error.strerror}); check it (dmesg) or set PIPELINE_HOME to another disk, "
            "then run it again: what was finished is kept"
        )
    if named and error.errno in NOT_USABLE:
        return (
            f"cannot use {place} ({error.strerror}); make it readable and writable for this user, or set PIPELINE_HOME "
            "to a folder that is"
        )
    return ""


def _concerns(path: Path, root: Path) -> bool:
    return path.is_relative_to(root) or root.is_relative_to(path)


def _full(root: Path) -> str:
    """Which disk is full: that of the workspace, or that of temporary files, which a write without a path may be on."""
    temporary = Path(tempfile.gettempdir())
    if not _is_full(root) and _is_full(temporary):
        return (
            f"the disk of {temporary} is full; free some space or set TMPDIR to a folder on another disk, then run it "
            "again: what was finished is kept"
        )
    return (
        f"the disk of {root} is full; free some space (python -m pipeline gc) or set PIPELINE_HOME to another disk, "
        "then run it again: what was finished is kept"
    )


def _cut_off(error: OSError) -> bool:
    """Whether NumPy wrote less than it had to: it raises without a number, also where a quota ends before the disk."""
    return error.errno is None and str(error).endswith("written")


def _is_full(folder: Path) -> bool:
    usages = (shutil.disk_usage(path) for path in (folder, *folder.parents) if path.exists())
    return any(usage.free < 2**20 for usage in usages if usage.total)  # /proc has no size
