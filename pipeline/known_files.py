"""What was read from many small files, kept in one: a file that keeps its size, times and inode is not parsed again.

    CACHE/
      records.msgpack     the records of the runs
      manifests.msgpack   what the manifests of the artifacts say

Four bytes of checksum, then a Document in MessagePack. It can always be made again, so one that is missing, damaged or
of other types counts as empty.
"""

import os
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import msgspec.inspect

from components.system.canonical import sha256
from components.system.files import write_atomically
from components.system.stat_cache import SETTLED_NS

CHECKSUM = 4  # bytes

T = TypeVar("T")
Stamp = tuple[int, int, int, int]


class KnownFiles(Generic[T]):
    """The contents, of type *kind*, that *file* remembers, by the name and status of what was read."""

    def __init__(self, file: Path, kind: type[T]) -> None:
        self.file = file
        self._form = sha256(str(msgspec.inspect.type_info(kind)))  # of another version, they may lack a field
        self._decoder = msgspec.msgpack.Decoder(tuple[str, dict[str, tuple[Stamp, kind]]])  # type: ignore[valid-type]
        self._known: dict[str, tuple[Stamp, T]] = self._read()
        self._used: dict[str, tuple[Stamp, T]] = {}

    @property
    def names(self) -> set[str]:
        """Of what is remembered."""
        return set(self._known)

    def get(self, name: str, path: str, read: Callable[[], T | None]) -> T | None:
        """What *read* reads from the file *path*, in its present state; raises OSError where there is no such file."""
        status = os.stat(path)  # noqa: PTH116 - thousands of files: no Path each
        stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        entry = self._known.get(name)
        if entry is None or entry[0] != stamp:
            content = read()
            if content is None:
                return None
            entry = stamp, content
        self._used[name] = entry
        return entry[1]

    def keep(self) -> None:
        """Remember what was used since, and nothing else; where nothing can be written, it is read the next time."""
        settled = time.time_ns() - SETTLED_NS
        lasting = {name: entry for name, entry in self._used.items() if max(entry[0][1:3]) < settled}
        if lasting.keys() == self._known.keys() and all(self._known[name] is entry for name, entry in lasting.items()):
            return
        content = msgspec.msgpack.encode((self._form, lasting))
        with suppress(OSError):  # a read-only or full disk
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.file, zlib.crc32(content).to_bytes(CHECKSUM) + content)

    def _read(self) -> dict[str, tuple[Stamp, T]]:
        try:
            content = self.file.read_bytes()
            if zlib.crc32(content[CHECKSUM:]).to_bytes(CHECKSUM) != content[:CHECKSUM]:
                return {}
            form, known = self._decoder.decode(content[CHECKSUM:])
        except (OSError, msgspec.MsgspecError):
            return {}
        return known if form == self._form else {}
