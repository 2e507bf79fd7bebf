"""Files that are moved out of a folder of images and back: whatever happens, none is overwritten and none is lost."""

import errno
import os
import shutil
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from components.errors import ConfigError, StorageFailed
from pipeline import moved_files
from pipeline.moved_files import remove, restore

FILES = {"a/1.png": b"one", "a/2.png": b"two", "b/1.png": b"three", "b/sub dir/x.png": b"four"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return written(tmp_path / "my pictures", FILES)


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def removed(root: Path) -> dict[str, bytes]:
    return content(root.with_name("my pictures.removed"))


def test_files_are_moved_with_their_paths_and_back(root: Path) -> None:
    """Afterwards the folder is what it was, and nothing is left of the other."""
    assert remove(root, ["a/1.png", "b/sub dir/x.png"]).files == ["a/1.png", "b/sub dir/x.png"]
    assert removed(root) == {"a/1.png": b"one", "b/sub dir/x.png": b"four"}
    assert content(root) == {"a/2.png": b"two", "b/1.png": b"three"}
    assert remove(root, ["a/2.png"]).left == {}
    assert restore(root).left == {}
    assert content(root) == FILES
    assert not root.with_name("my pictures.removed").exists()


def test_nothing_is_overwritten(root: Path) -> None:
    """A file whose place is taken stays where it is, in both directions, and the answer names it."""
    remove(root, ["a/1.png"])
    written(root, {"a/1.png": b"another"})
    assert remove(root, ["a/1.png", "a/2.png"]).left == {"a/1.png": "my pictures.removed has another file of that name"}
    assert restore(root).left == {"a/1.png": "my pictures has another file of that name"}
    assert content(root) == FILES | {"a/1.png": b"another"}
    assert removed(root) == {"a/1.png": b"one"}


def test_files_that_are_gone_are_left(root: Path) -> None:
    """The folder changed since its files were listed."""
    (root / "a/1.png").unlink()
    assert remove(root, ["a/1.png", "a/2.png"]).left == {"a/1.png": "it is no longer there"}
    assert removed(root) == {"a/2.png": b"two"}


def test_links_are_moved_as_links_and_never_followed(root: Path) -> None:
    """A file is not taken out of its folder by way of a second one that is a link; nor is one put elsewhere."""
    (root / "c").symlink_to("a")
    (root / "b/link.png").symlink_to("1.png")
    moved = remove(root, ["c/1.png", "b/link.png"])
    assert moved.left == {"c/1.png": "a folder on its path in my pictures is a link"}
    assert root.with_name("my pictures.removed").joinpath("b/link.png").is_symlink()
    assert content(root) == FILES
    restore(root)
    assert (root / "b/link.png").readlink() == Path("1.png")
    outside = root.parent / "outside"
    outside.mkdir()
    root.with_name("my pictures.removed").mkdir()
    root.with_name("my pictures.removed").joinpath("a").symlink_to(outside)
    assert list(remove(root, ["a/1.png", "../secret"]).left) == ["a/1.png", "../secret"]
    assert not list(outside.iterdir())


def refuse(error: int) -> NoReturn:
    raise OSError(error, os.strerror(error))


@pytest.mark.parametrize("error", [errno.EXDEV, errno.EPERM])
def test_files_are_copied_where_they_cannot_be_linked(root: Path, error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On another file system, or on one without links: with their times, and links as links."""
    monkeypatch.setattr(os, "link", lambda *_, **__: refuse(error))
    (root / "b/link.png").symlink_to("1.png")
    os.utime(root / "a/1.png", (1000, 1000))
    assert remove(root, ["a/1.png", "b/link.png"]).left == {}
    assert (root.with_name("my pictures.removed") / "a/1.png").stat().st_mtime == 1000
    assert restore(root).left == {}
    assert content(root) == FILES | {"b/link.png": b"three"}


@pytest.mark.parametrize("step", ["mkdir", "copy", "flush", "rename"])
def test_a_full_disk_loses_nothing(root: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is noticed: the files stay where they are, whole, and no half of a copy is left."""
    monkeypatch.setattr(os, "link", lambda *_, **__: refuse(errno.EXDEV))
    with monkeypatch.context() as full:
        if step == "mkdir":
            full.setattr(Path, "mkdir", lambda *_, **__: refuse(errno.ENOSPC))
            with pytest.raises(StorageFailed, match="no file was moved"):
                remove(root, FILES)
        else:
            owner, name = {"copy": (shutil, "copy2"), "flush": (moved_files, "flush"), "rename": (Path, "rename")}[step]
            full.setattr(owner, name, lambda *_, **__: refuse(errno.ENOSPC))
            assert remove(root, FILES).left == dict.fromkeys(FILES, "No space left on device")
    assert content(root) == FILES
    assert not root.with_name("my pictures.removed").exists()


def test_a_file_that_changes_while_it_is_copied_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is compared before the file loses its place."""
    monkeypatch.setattr(os, "link", lambda *_, **__: refuse(errno.EXDEV))
    monkeypatch.setattr(shutil, "copy2", lambda source, target: Path(target).write_bytes(b"half"))
    assert remove(root, ["a/1.png"]).left == {"a/1.png": "it changed while it was copied"}
    assert content(root) == FILES


def test_a_move_that_was_killed_is_finished(root: Path) -> None:
    """The file has both names then."""
    target = written(root.with_name("my pictures.removed"), {"a/keep.png": b""}) / "a/1.png"
    os.link(root / "a/1.png", target)
    assert remove(root, ["a/1.png"]).files == ["a/1.png"]
    assert "a/1.png" not in content(root)
    assert target.read_bytes() == b"one"


def test_two_at_once_move_each_file_once(tmp_path: Path) -> None:
    """One waits for the other."""
    files = {f"a/{i}.png": bytes([i]) for i in range(200)}
    root, moved = written(tmp_path / "my pictures", files), list[str]()
    threads = [threading.Thread(target=lambda: moved.extend(remove(root, files).files)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(moved) == sorted(files)
    assert removed(root) == files


def test_without_anything_to_move_back_there_is_a_sentence(root: Path) -> None:
    """So there is for a folder that has none beside it."""
    with pytest.raises(ConfigError, match="nothing was moved out of"):
        restore(root)
    with pytest.raises(ConfigError, match="there is no folder beside /"):
        remove(Path("/"), [])
