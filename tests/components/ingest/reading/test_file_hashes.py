"""Cached hashes of files: correct after any change, and an unchanged file is not read again."""

import os
import time
from pathlib import Path

import pytest

from components.errors import SourceUnreachable, StorageFailed
from components.ingest.reading.file_hashes import file_hashes
from components.system.files import sha256_of_file
from components.system.stat_table import StatedFiles, StatTable, Status

HOUR = 3_600 * 10**9


class Folder:
    """Files with a cache of their hashes; `hash` returns the hashes and which files were read."""

    def __init__(self, root: Path) -> None:
        self.root, self.cache = root / "files", root / "cache"
        self.root.mkdir()

    def hash(self) -> tuple[dict[str, str], list[str]]:
        read: list[str] = []

        def sha256(path: Path) -> str:
            read.append(path.name)
            return sha256_of_file(path)

        files = {path.name: path.stat() for path in self.root.iterdir()}
        return file_hashes(self.root, files, self.cache, sha256), sorted(read)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Two files, a and b, that were written long ago by the clock of `file_hashes`."""
    folder = Folder(tmp_path)
    for name in "ab":
        (folder.root / name).write_text(f"content of {name}")
    later = time.time_ns() + HOUR
    monkeypatch.setattr(time, "time_ns", lambda: later)
    return folder


def test_an_unchanged_file_is_not_read_again(folder: Folder) -> None:
    """The second time, every hash comes from the cache."""
    first, read = folder.hash()
    assert read == ["a", "b"]
    assert folder.hash() == (first, [])


def test_touch_reads_one_file_and_changes_nothing(folder: Folder) -> None:
    """A file touched is read again, that file alone, and its hash is the same."""
    first, _ = folder.hash()
    os.utime(folder.root / "a")
    assert folder.hash() == (first, ["a"])
    assert folder.hash() == (first, [])


def test_a_change_with_the_old_modification_time_is_noticed(folder: Folder) -> None:
    """A file with the same size and the old modification time put back is read again."""
    first, _ = folder.hash()
    path = folder.root / "a"
    before = path.stat()
    path.write_text("content of A")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second, read = folder.hash()
    assert read == ["a"]
    assert second["a"] != first["a"]


def test_a_file_written_a_moment_ago_is_not_cached(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a tick of the clock a second change would look like none, so such a file is read again."""
    monkeypatch.undo()
    folder.hash()
    assert folder.hash()[1] == ["a", "b"]


def test_deleted_files_leave_the_cache(folder: Folder) -> None:
    """The cache holds existing files alone, so it does not grow for ever."""
    folder.hash()
    status = Status.of((folder.root / "a").stat())
    (cache,) = folder.cache.iterdir()
    assert list(StatTable(cache).known(StatedFiles.of([("a", status)]))) != [None]
    (folder.root / "a").unlink()
    folder.hash()
    assert list(StatTable(cache).known(StatedFiles.of([("a", status)]))) == [None]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"a": 1}', b"\xff"])
def test_a_damaged_cache_is_rebuilt(folder: Folder, damage: bytes) -> None:
    """Without a valid cache every file is read again, and the cache is written again."""
    first, _ = folder.hash()
    (cache,) = folder.cache.iterdir()
    cache.write_bytes(damage)
    assert folder.hash() == (first, ["a", "b"])
    assert folder.hash() == (first, [])


def test_a_file_that_disappears_is_named(tmp_path: Path) -> None:
    """A file deleted between looking and reading: a rerun may succeed, and the error says which file it was."""
    with pytest.raises(SourceUnreachable, match=r"gone\.png disappeared"):
        file_hashes(tmp_path, {"gone.png": tmp_path.stat()}, tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_an_error(folder: Folder) -> None:
    """Where the folder of the cache cannot be created, one sentence says so."""
    folder.cache.write_text("a file where a folder should be")
    with pytest.raises(StorageFailed, match="cannot be written"):
        folder.hash()
