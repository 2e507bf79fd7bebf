"""Whether files arrive or change below a folder, or an archive is written: one pass of `stat`, nothing is read."""

import hashlib
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from components.data.pictures.picture_files import SUFFIXES as IMAGES
from components.data.pictures.picture_files import ignored_kind
from components.ingest.reading.labels_table import SUFFIXES as TABLES
from components.system.stat_cache import stamp


def stamp_of(paths: Iterable[Path], leave_out: Path) -> str:
    """A hash that changes with every image and table among *paths* or below them, but for those below *leave_out*."""
    whole, pending = hashlib.sha256(), [os.fspath(path) for path in paths]
    seen: set[tuple[int, int]] = set()
    while pending:
        path = pending.pop()
        with suppress(OSError):  # it is gone: the next look sees what there is then
            status = os.stat(path)  # noqa: PTH116 (a folder may hold a million files: no Path for each)
            if not stat.S_ISDIR(status.st_mode):
                whole.update(f"{path!a} {stamp(status)}\n".encode())
            elif (status.st_dev, status.st_ino) not in seen and Path(path) != leave_out:
                seen.add((status.st_dev, status.st_ino))  # links may lead round in a circle
                pending += _wanted(path)
    return whole.hexdigest()


def _wanted(folder: str) -> list[str]:
    """The folders in *folder*, and the files that could be read from there."""
    with os.scandir(folder) as entries:
        named = sorted((entry.name, entry.path, entry.is_dir()) for entry in entries if not ignored_kind(entry.name))
    return [path for name, path, is_folder in named if is_folder or name.lower().endswith((*IMAGES, *TABLES))]
