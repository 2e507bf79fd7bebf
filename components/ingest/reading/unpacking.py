"""Unpack an archive of images into the cache: .zip, .tar and .tar.gz, none of which is trusted.

CACHE/unpacked/
  <hash of the archive's path>-<sha256 of the archive>/    its files, once for each content

Images and tables of labels are unpacked; of any other file the name alone, so that it is reported as in a folder.
Links, devices, names that lead out of the archive, encryption, and far more bytes than the archive has are refused.
"""

import errno
import gzip
import hashlib
import io
import os
import shutil
import stat
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, cast

from components.data.pictures import picture_files
from components.data.pictures.read_errors import read_errors
from components.errors import DataRejected, StorageFailed
from components.formatting import size
from components.ingest.reading import labels_table
from components.ingest.reading.label_rows import leaves
from components.progress import progress
from components.system import held_folders
from components.system.archives import require_ratio
from components.system.files import open_regular

ALWAYS_FINE = 2 * 2**30  # bytes that any archive may unpack to
BETWEEN_MEMBERS = 2**26  # bytes of a tar archive that are not a file: headers, and what is between them
CHUNK = 2**20
OF_NAMES = (errno.EINVAL, errno.ENAMETOOLONG, errno.EILSEQ)  # errors that a damaged directory or name leads to
GZIP = b"\x1f\x8b"
DRAFT_DIED = 86_400.0  # seconds after which no process can still be unpacking


class Member(NamedTuple):
    """A file of an archive: its name, its size, what is odd about it ("" for an ordinary file), and its content."""

    name: str
    size: int
    oddity: str
    content: IO[bytes]


def folder_of(archive: Path, sha256: str, cache: Path) -> Path:
    """Where the files of *archive*, whose content has *sha256*, are once they are unpacked."""
    return cache / "unpacked" / f"{_place(archive)}-{sha256}"


def _place(archive: Path) -> str:
    return hashlib.sha256(os.fsencode(archive)).hexdigest()[:16]


def unpacked(archive: Path, sha256: str, cache: Path) -> Path:
    """The folder with the files of *archive*, whose content has *sha256*; those of an earlier content are removed."""
    folder = folder_of(archive, sha256, cache)
    if not held_folders.hold(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent, _place(archive))
        with _draft(folder) as draft:
            _unpack(archive, draft)
        held_folders.hold(folder)
    return folder


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """A folder that becomes *folder* at the end of the block, unless another process was first."""
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield draft
        with suppress(OSError):
            draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _sweep(folder: Path, place: str) -> None:
    """Remove what earlier contents of the archive left, and drafts whose process must be dead."""
    for path in folder.glob(f"*{place}-*"):
        if path.name.startswith(place) or path.stat().st_mtime < time.time() - DRAFT_DIED:
            with held_folders.withdrawing(path) as free:
                if free:
                    shutil.rmtree(path, ignore_errors=True)


def _unpack(archive: Path, folder: Path) -> None:
    stored, so_far = archive.stat().st_size, 0
    with read_errors(archive), open_regular(archive) as file, _archive_errors(archive):
        members = _zip_members(file) if archive.name.lower().endswith(".zip") else _tar_members(archive, file)
        with progress("ingest: unpacking, bytes") as advance:
            for member in members:
                _require_ordinary(archive, member)
                if member.name.lower().endswith((*picture_files.SUFFIXES, *labels_table.SUFFIXES)):
                    so_far += member.size
                    require_ratio("it would unpack to", so_far, stored, fine=ALWAYS_FINE)
                    _require_space(member.size, folder)
                    _write(member, folder)
                else:
                    _file(folder, member.name).touch()
                advance(so_far)


def _require_ordinary(archive: Path, member: Member) -> None:
    oddity = "leads out of the archive" if leaves(member.name) else member.oddity
    if not oddity and member.size > picture_files.MAX_BYTES:
        oddity = f"has {member.size:,} bytes, more than {picture_files.MAX_BYTES:,}"
    if oddity:
        raise DataRejected(f"{archive}: the file {member.name!r} {oddity}; expected image files alone: pack it without")


def _require_space(needed: int, folder: Path) -> None:
    if needed > (free := shutil.disk_usage(folder).free):
        raise StorageFailed(f"there are {size(free)} left in {folder.parent}, too few to unpack an archive; free some")


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _write(member: Member, folder: Path) -> None:
    left = member.size
    with _file(folder, member.name).open("xb") as target:
        while chunk := member.content.read(min(CHUNK, left)):
            target.write(chunk)
            left -= len(chunk)
    if left:
        raise EOFError(f"{member.name!r} is truncated")


@contextmanager
def _archive_errors(archive: Path) -> Iterator[None]:
    """Turn what is wrong with *archive* into a failure that names it."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, ValueError) as error:
        reason = " ".join(str(error).split())[:100] or "it ends too early"
        raise DataRejected(f"{archive} cannot be unpacked: {reason}; pack it again, or unpack it yourself") from None
    except (NotImplementedError, RuntimeError) as error:  # another compression, a password
        raise DataRejected(f"{archive} cannot be unpacked: {error}; unpack it yourself") from None
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        name = Path(str(error.filename)).name
        raise DataRejected(f"{archive} holds {name!r} twice, as a file or a folder; pack it again") from None
    except OSError as error:
        if error.errno not in OF_NAMES:
            raise
        reason = "it names a place or a file that cannot be"
        raise DataRejected(f"{archive} cannot be unpacked: {reason}; pack it again, or unpack it yourself") from None


def _zip_members(file: BinaryIO) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        for member in members:
            mode = stat.S_IFMT(member.external_attr >> 16)
            oddity = "is a link or a device" if mode not in (0, stat.S_IFREG) else ""
            with archive.open(member) as content:
                yield Member(_posix(member.filename), member.file_size, oddity, content)


def _tar_members(archive: Path, file: BinaryIO) -> Iterator[Member]:
    packed = file.read(2) == GZIP
    file.seek(0)
    stream = _Bounded(cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file)
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as tar:
        for member in tar:
            stream.allow(member.size + BETWEEN_MEMBERS)
            content = tar.extractfile(member) if member.isreg() else None
            if content:
                yield Member(_posix(member.name), member.size, "", content)
            elif not member.isdir():
                yield Member(_posix(member.name), 0, "is a link or a device", io.BytesIO())
    stream.require_end()


def _posix(name: str) -> str:
    """*name* with the separators of this system, without a leading "./"."""
    return name.replace("\\", "/").removeprefix("./")


class _Bounded:
    """The stream of a tar archive; raises ValueError where more is read than was allowed: a header that is a bomb."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._left, self._ended = stream, BETWEEN_MEMBERS, False

    def allow(self, count: int) -> None:
        self._left = count

    def read(self, count: int) -> bytes:
        data = self._stream.read(count)
        self._ended = not data
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("a header is a decompression bomb")
        return data

    def require_end(self) -> None:
        """Raise EOFError where the archive lacks its end; read what follows it, which completes a checksum of gzip."""
        if self._ended:
            raise EOFError("it ends too early")
        self.allow(BETWEEN_MEMBERS)
        while self.read(CHUNK):
            pass
