"""What a user wants classified: pictures, folders of them, IDX files, or paths on standard input.

A folder is searched at any depth. What systems leave behind there is left out as ingest does it, and folders are taken
in the order that ingest gives to classes: 2, 10, cat.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from components.data.pictures.idx_format import GZIP, IdxFile
from components.data.pictures.picture_files import EXPECTED, SUFFIXES, ignored_kind
from components.data.pictures.read_errors import read_errors
from components.errors import SourceError
from components.ingest.reading.listing import in_order
from components.ingest.reading.naming import archive_suffix
from pipeline.prediction.reading import Files, Idx, Source

STDIN = "-"
IDX_MAGIC = b"\0\0\x08"  # of unsigned bytes; the next one is the number of dimensions
KNOWN = f"a picture, a folder of {EXPECTED}, or an IDX file of images"


def sources(arguments: Sequence[str], stdin: IO[bytes]) -> list[Source]:
    """What *arguments* name, in their order; raises SourceError where one can be nothing of that."""
    found: list[Source] = []
    for argument in arguments:
        source = Files(_lines(stdin)) if argument == STDIN else _source(argument)
        if isinstance(source, Files) and found and isinstance(before := found[-1], Files):
            before.paths.extend(source.paths)  # many pictures, as a shell names them: read together
        else:
            found.append(source)
    return found


def _lines(stdin: IO[bytes]) -> list[str]:
    paths = [os.fsdecode(line) for line in stdin.read().splitlines() if line]
    if not paths:
        raise SourceError("standard input holds no paths; expected those of pictures, one a line")
    return paths


def _source(path: str) -> Source:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - "~" and names that are no UTF-8 stay what they are
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SourceError(f"{path[:1000]} cannot be read ({reason}); expected {KNOWN}") from None
    if stat.S_ISDIR(mode):
        return Files(_pictures(path))
    if not stat.S_ISREG(mode):
        raise SourceError(f"{path} is a FIFO, a socket or a device; expected {KNOWN}")
    if archive_suffix(path):
        raise SourceError(f"{path} is an archive; unpack it, and name the folder")
    return Idx(IdxFile(Path(path), 3)) if _is_idx(path) else Files([path])


def _is_idx(path: str) -> bool:
    """By content: an IDX file of unsigned bytes, or a gzip file, which no picture is."""
    if path.lower().endswith(SUFFIXES):
        return False
    with read_errors(path), open(path, "rb") as file:  # noqa: PTH123 - see above
        return file.read(len(IDX_MAGIC)).startswith((IDX_MAGIC, GZIP))


def _pictures(folder: str) -> list[str]:
    """The files below *folder* that are called like pictures; raises SourceError where there are none."""
    others = list[str]()
    paths = sorted(_walk(folder, others), key=lambda path: _position(path, folder))
    if not paths:
        idx = next((other for other in sorted(others) if "idx3" in other), "")
        hint = f"name its IDX file of images: {idx}" if idx else f"expected {EXPECTED}, at any depth"
        raise SourceError(f"{folder} holds no pictures; {hint}")
    return paths


def _walk(folder: str, others: list[str]) -> Iterator[str]:
    """The pictures below *folder*; what is called otherwise is added to *others*.

    A folder on the way that cannot be read comes as if it were a picture, so that a row says why.
    """
    pending, seen = [folder], set[tuple[int, int]]()
    while pending:
        here = pending.pop()
        try:
            status = os.stat(here)  # noqa: PTH116
            entries = [] if (status.st_dev, status.st_ino) in seen else _entries(here)  # links may lead round
        except OSError:
            if here != folder:
                yield here
                continue
            with read_errors(folder):
                raise
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            if entry.is_dir():
                pending.append(entry.path)
            elif entry.name.lower().endswith(SUFFIXES):
                yield entry.path
            else:
                others.append(entry.path)


def _entries(folder: str) -> "list[os.DirEntry[str]]":
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not ignored_kind(entry.name)]


def _position(path: str, folder: str) -> tuple[list[tuple[bool, int, str]], str]:
    """Sort key: the folders on the way in ingest's order of classes, then the file's name."""
    *folders, name = Path(path).relative_to(folder).parts
    return [in_order(part) for part in folders], name
