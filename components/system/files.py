"""Paths that begin with ~; files written atomically, opened where they are regular, hashed; folders copied."""

import errno
import hashlib
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LONGEST_FILE_NAME = 240  # bytes; file systems take 255


def expanded(path: str) -> str:
    """*path* with ~ and ~USER as a home folder, where the shell left them as they are: dash, zsh, make, a TOML file."""
    return os.path.expanduser(path)  # noqa: PTH111 - Path.expanduser raises where there is no such user


def file_name(text: str) -> str:
    """A file name of its own for any *text*; most are their own."""
    name = text.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")
    if len(os.fsencode(name)) <= LONGEST_FILE_NAME:
        return name
    return f"{text.partition('-')[0][:20]}-{hashlib.sha256(os.fsencode(text)).hexdigest()}"


def write_atomically(path: Path, content: str | bytes, *, mode: int = 0o644, flush: bool = False) -> None:
    """Write *path* as `written_atomically` does. Raises OSError."""
    with written_atomically(path, mode=mode, flush=flush) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def written_atomically(path: Path, *, mode: int = 0o644, flush: bool = False) -> Iterator[IO[bytes]]:
    """Write *path* whole or not at all: two processes may do so at once, and a killed one leaves the old file.

    The content goes to a sibling, which is renamed into place. With *flush* it is on the disk before that, as a machine
    that loses power may have renamed the file and not yet written it. Raises OSError.
    """
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            if flush:
                file.flush()
                os.fsync(file.fileno())
        Path(draft).chmod(mode)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def copy_folder(source: Path, target: Path) -> Path:
    """Copy the files of *source* and of the folders in it to *target*, a new folder, which is returned.

    Unlike `shutil.copytree` it raises the OSError of the first file that fails, which says what the disk has done.
    """
    for parent, _, names in os.walk(source):
        folder = target / Path(parent).relative_to(source)
        folder.mkdir(parents=True)
        for name in names:
            shutil.copyfile(Path(parent, name), folder / name)
    return target


class NotRegular(OSError):
    """A FIFO, a socket, a device or a folder, where a file was expected."""


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """*path* opened for reading; raises NotRegular, at once, where opening or reading it could wait for ever."""
    return io.BufferedReader(io.FileIO(os.fspath(path), opener=_opened))


def _opened(path: str, flags: int) -> int:
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise NotRegular(errno.EINVAL, "not a regular file", path)


def sha256_of_file(path: Path) -> str:
    """The sha256 of the bytes of *path*, in hexadecimal digits, as `sha256sum` prints it. Raises OSError."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: str | Path) -> None:
    """Write the file or folder *path* to the disk, so that it is there after a power failure. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot flush a folder
            raise
    finally:
        os.close(handle)
