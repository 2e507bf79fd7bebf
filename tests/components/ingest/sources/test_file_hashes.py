"""Hashes of files: right after any change, and an unchanged file is not read again."""

import os
import time
from pathlib import Path

import pytest

from components.errors import SourceUnreachable, StorageFailed
from components.ingest.sources import file_hashes

HOUR = 3_600 * 10**9


class Folder:
    """Files with a memory of their hashes; `hash` tells the hashes and which files were read for them."""

    def __init__(self, root: Path) -> None:
        self.root, self.cache = root / "files", root / "cache"
        self.root.mkdir()

    def hash(self) -> tuple[dict[str, str], list[str]]:
        read: list[str] = []

        def digest(path: Path) -> str:
            read.append(path.name)
            return file_hashes.hash_file(path)

        files = {path.name: path.stat() for path in self.root.iterdir()}
        return file_hashes.file_hashes(self.root, files, self.cache, digest), sorted(read)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Two files, a and b, that were written long ago by the clock of `hashes`."""
    made = Folder(tmp_path)
    for name in "ab":
        (made.root / name).write_text(f"content of {name}")
    later = time.time_ns() + HOUR
    monkeypatch.setattr(time, "time_ns", lambda: later)
    return made


def test_an_unchanged_file_is_not_read_again(folder: Folder) -> None:
    """The second time, every hash comes from memory."""
    first, read = folder.hash()
    assert read == ["a", "b"]
    assert folder.hash() == (first, [])


def test_touch_reads_one_file_and_changes_nothing(folder: Folder) -> None:
    """A file touched is read again, that file alone, and its hash is the same."""
    first, _ = folder.hash()
    os.utime(folder.root / "a")
    assert folder.hash() == (first, ["a"])


def test_a_change_that_hides_behind_the_old_times_is_seen(folder: Folder) -> None:
    """A file with the same size and the old modification time put back is read again."""
    first, _ = folder.hash()
    path = folder.root / "a"
    before = path.stat()
    path.write_text("content of A")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second, read = folder.hash()
    assert read == ["a"]
    assert second["a"] != first["a"]


def test_a_file_written_a_moment_ago_is_not_remembered(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a tick of the clock a second change would look like none, so such a file is read again."""
    monkeypatch.undo()
    folder.hash()
    assert folder.hash()[1] == ["a", "b"]


def test_files_that_are_gone_are_forgotten(folder: Folder) -> None:
    """The memory holds what is there, no more: it does not grow for ever."""
    folder.hash()
    (folder.root / "a").unlink()
    folder.hash()
    (memory,) = folder.cache.iterdir()
    assert b'"a"' not in memory.read_bytes()


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"a": 1}', b"\xff"])
def test_a_damaged_memory_is_made_again(folder: Folder, damage: bytes) -> None:
    """The memory is a convenience: without it everything is read again, and it is right once more."""
    first, _ = folder.hash()
    (memory,) = folder.cache.iterdir()
    memory.write_bytes(damage)
    assert folder.hash() == (first, ["a", "b"])
    assert folder.hash() == (first, [])


def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    """A file deleted between looking and reading: a rerun may succeed, and the error says which file it was."""
    with pytest.raises(SourceUnreachable, match=r"gone\.png went away"):
        file_hashes.file_hashes(tmp_path, {"gone.png": tmp_path.stat()}, tmp_path / "cache")


def test_a_memory_that_cannot_be_written_is_told(folder: Folder) -> None:
    """Where the folder for the memory cannot be made, one sentence says so."""
    folder.cache.write_text("a file where a folder should be")
    with pytest.raises(StorageFailed, match="cannot be written"):
        folder.hash()
