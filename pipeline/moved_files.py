"""Move files out of a folder of images and back: none is overwritten, and none is ever without a place.

FOLDER/cats/1.jpg  ->  FOLDER.removed/cats/1.jpg

A file gets its second name before it loses its first; across file systems it is copied, flushed and compared first. A
process that is killed in between leaves the file in both places, and the next one finishes the move.
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from components.errors import ConfigError, StorageFailed
from components.progress import progress
from components.system import locks
from components.system.files import flush, sha256_of_file

NO_LINKS = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EACCES)


@dataclass
class Moved:
    """The paths of the files that were moved, and why each of the others was not."""

    files: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def removed_folder(root: Path) -> Path:
    """The folder beside *root* that its removed files go to; raises ConfigError where there is no place beside it."""
    if not root.name:
        raise ConfigError(f"there is no folder beside {root}; give --source a folder of images")
    return root.with_name(f"{root.name}.removed")


def remove(root: Path, files: Iterable[str]) -> Moved:
    """Move *files*, paths below *root*, into the removed folder."""
    removed = removed_folder(root)
    with _locked(root):
        try:
            removed.mkdir(exist_ok=True)
        except OSError as error:
            raise StorageFailed(f"{removed} cannot be created ({error.strerror}); no file was moved") from None
        moved = _move_all(root, removed, list(files))
        _prune(removed)
    return moved


def restore(root: Path) -> Moved:
    """Move every file of the removed folder back; raises ConfigError where there is none."""
    removed = removed_folder(root)
    if not removed.is_dir():
        raise ConfigError(f"there is no folder {removed}: nothing was moved out of {root}")
    with _locked(root):
        moved = _move_all(removed, root, list(_files(removed)))
        _prune(removed)
    return moved


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two processes that move files of one folder take turns."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        locks.wait(handle, f"the folder {folder}", fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _files(folder: Path) -> Iterator[str]:
    """The path of each file and link below *folder*."""
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        yield from sorted(Path(parent, name).relative_to(folder).as_posix() for name in [*names, *links])


def _prune(folder: Path) -> None:
    """Remove the empty folders below *folder*, and itself."""
    for parent, _, _ in os.walk(folder, topdown=False):
        try:
            Path(parent).rmdir()
        except OSError:
            continue


def _move_all(source: Path, target: Path, files: list[str]) -> Moved:
    moved = Moved()
    with progress(f"moving into {target.name}", len(files)) as advance:
        for number, file in enumerate(files, 1):
            try:
                if reason := _obstacle(source, target, file):
                    moved.left[file] = reason
                else:
                    _move(source / file, target / file)
                    moved.files.append(file)
            except OSError as error:
                moved.left[file] = error.strerror or str(error)
            advance(number)
    return moved


def _obstacle(source: Path, target: Path, file: str) -> str:
    """Why *file* is not moved from *source* to *target*, "" where nothing is in its way."""
    if not os.path.lexists(source / file):
        return "it is no longer there"
    for root in (source, target):
        if Path(os.path.realpath((root / file).parent)) != Path(os.path.realpath(root)) / Path(file).parent:
            return f"a folder on its path in {root.name} is a link"
    if os.path.lexists(target / file) and not _same(source / file, target / file):
        return f"{target.name} has another file of that name"
    return ""


def _same(file: Path, other: Path) -> bool:
    return os.path.samestat(file.lstat(), other.lstat())


def _move(source: Path, target: Path) -> None:
    """Give the file or link *source* the name *target*, which is free or another name of it. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(target):
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            _copy(source, target)
    flush(target.parent)
    source.unlink()


def _copy(source: Path, target: Path) -> None:
    """Copy the file or link *source* to *target*, whole and on the disk, or not at all."""
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=".moving-")
    os.close(handle)
    try:
        shutil.copy2(source, draft)
        flush(draft)
        if sha256_of_file(Path(draft)) != sha256_of_file(source):
            raise OSError(errno.EIO, "it changed while it was copied")
        Path(draft).rename(target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
