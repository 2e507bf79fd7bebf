"""Whether a folder is as it was when its fingerprint was computed, by `stat` alone: nothing is listed or read.

    CACHE/
      folder-<hash of the folder's path and the settings>.state

Trusted are size, mtime_ns, ctime_ns and inode of each image, and mtime_ns, ctime_ns and inode of each folder that was
listed. A folder that keeps them has the entries that it had, as a file cannot come, go or be renamed otherwise; a file
that was changed in place, even with its size and mtime restored, has another ctime. Times within two seconds of the
listing are not trusted, nor are links, or files that no one reads: such a folder is listed every time.

The file begins with a line of JSON (Head) with its checksum; then for each group of files of a folder their names,
separated by NUL, and their statuses, four int64 a file: damage there looks like a change. It can always be made again,
so one that is missing or damaged counts as none.
"""

import hashlib
import json
import os
import time
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

from components.ingest.reading.listing import ImageFiles, Listing
from components.settings.sections import Ingest
from components.system.canonical import checked, with_checksum
from components.system.files import written_atomically
from components.system.stat_cache import SETTLED_NS
from components.system.stat_table import FIELDS, StatedFiles, Status

GROUP = 10_000  # files
CODE = ("ingest", "data/pictures")  # in components: the code that decides what a listing is

Stamp = tuple[int, int, int]
Files = Mapping[str, os.stat_result] | ImageFiles  # path -> status


class Head(TypedDict):
    """The first line; *groups* are the folder below the root, the bytes of the names, and the number of files."""

    form: str
    fingerprint: str
    folders: dict[str, Stamp]
    groups: list[tuple[str, int, int]]


class FolderState:
    """What *cache* remembers of the folder *root* as *params* read it; to be made before the folder is listed."""

    def __init__(self, root: Path, params: Ingest, cache: Path) -> None:
        self.root, self._begun = root, time.time_ns()
        settings = json.dumps(asdict(params), sort_keys=True)
        name = hashlib.sha256(os.fsencode(root) + b"\0" + settings.encode()).hexdigest()[:16]
        self.file = cache / f"folder-{name}.state"

    def fingerprint(self) -> str:
        """The fingerprint of the folder, "" where something may have changed since it was computed."""
        try:
            with self.file.open("rb") as file:
                head: Any = checked(file.readline())
                return str(head["fingerprint"]) if head["form"] == _form() and self._is_unchanged(head, file) else ""
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return ""

    def _is_unchanged(self, head: Head, file: BinaryIO) -> bool:
        folders = head["folders"].items()
        if any(_stamp(os.stat(self.root / path)) != tuple(stamp) for path, stamp in folders):  # noqa: PTH116
            return False
        return all(self._is_group_unchanged(file, *group) for group in head["groups"])

    def _is_group_unchanged(self, file: BinaryIO, folder: str, size: int, files: int) -> bool:
        names, statuses = file.read(size), file.read(files * FIELDS * array("q").itemsize)
        base, present = os.fsencode(self.root / folder) + b"/", array("q")
        for name in names.split(b"\0"):
            found = os.stat(base + name)  # noqa: PTH116 - 300,000 files: no Path each
            present.extend((found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino))
        return present.tobytes() == statuses

    def keep(self, fingerprint: str, files: Files, *listings: Listing) -> None:
        """Remember that the folder has the *fingerprint* while its *files*, and the folders that were listed, stay.

        Where it cannot be trusted, or not be written, nothing is remembered.
        """
        folders = {path: _stamp(status) for listing in listings for path, status in listing.folders_read.items()}
        times, stated = (time for stamp in folders.values() for time in stamp[:2]), _stated(files)
        newest = max(stated.newest(), *times, 0)
        if any(listing.has_links or listing.unusable for listing in listings) or newest > self._begun - SETTLED_NS:
            return
        groups = list(_groups(stated))
        head: Head = {
            "form": _form(),
            "fingerprint": fingerprint,
            "folders": folders,
            "groups": [(folder, len(names), names.count(b"\0") + 1) for folder, names, _ in groups],
        }
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with written_atomically(self.file) as file:
                file.write(json.dumps(with_checksum(head)).encode() + b"\n")
                file.writelines(part for _, *parts in groups for part in parts)
        except (OSError, UnicodeEncodeError):  # a full or read-only disk; it is listed the next time, too
            return


def _stated(files: Files) -> StatedFiles:
    if isinstance(files, ImageFiles):
        return files.in_path_order()
    return StatedFiles.of((path, Status.of(status)) for path, status in sorted(files.items()))


def _groups(files: StatedFiles) -> Iterator[tuple[str, bytes, bytes]]:
    """(folder, names, statuses) of at most GROUP files of one folder each."""
    pending: dict[str, tuple[list[str], array[int]]] = {}
    for place, path in enumerate(files.names):
        folder, _, name = path.rpartition("/")
        if folder not in pending:
            pending[folder] = [], array("q")
        names, statuses = pending[folder]
        names.append(name)
        statuses.extend(files.statuses[FIELDS * place : FIELDS * (place + 1)])
        if len(names) == GROUP:
            yield _group(folder, *pending.pop(folder))
    for folder, of_folder in pending.items():
        yield _group(folder, *of_folder)


def _group(folder: str, names: list[str], statuses: "array[int]") -> tuple[str, bytes, bytes]:
    return folder, os.fsencode("\0".join(names)), statuses.tobytes()


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino


@cache
def _form() -> str:
    """The hash of the code that lists folders: other code may come to another fingerprint."""
    components, code = Path(__file__).parents[2], hashlib.sha256()
    for file in sorted(file for folder in CODE for file in (components / folder).rglob("*.py")):
        code.update(file.read_bytes() + b"\0")
    return code.hexdigest()
