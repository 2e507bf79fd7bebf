"""A folder that did not change is not listed again, and every change to it is noticed."""

import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from components.ingest.reading import folder_state
from components.ingest.reading.folder_listing import list_images
from components.ingest.reading.folder_state import FolderState
from components.ingest.sources import folder
from components.settings.sections import Ingest
from tests.components.ingest.sources.test_folder import images_of, save


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each folder that is listed."""
    found: list[str] = []
    scandir = os.scandir

    def counting(path: str) -> object:
        found.append(str(path))
        return scandir(path)

    monkeypatch.setattr("components.ingest.reading.folder_entries.os.scandir", counting)
    return found


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before the listing counts as old."""
    monkeypatch.setattr(folder_state, "SETTLED_NS", 0)


def fingerprint(root: Path, cache: str = "cache", **settings: str) -> str:
    return folder.fingerprint(Ingest(source=str(root), **settings), root.with_name(cache))  # type: ignore[arg-type]


def flat(root: Path) -> Path:
    return images_of(root)


def with_splits(root: Path) -> Path:
    images_of(root / "train")
    images_of(root / "val")
    images_of(root / "test")
    return root


def around(root: Path) -> Path:
    images_of(root / "dataset" / "data")
    return root


def with_table(root: Path) -> Path:
    images = [save(root / "images" / f"{number}.png", number) for number in range(8)]
    rows = [f"{image.name},{'cat' if number % 2 else 'dog'}" for number, image in enumerate(images)]
    (root / "labels.csv").write_text("\n".join(["file,label", *rows]) + "\n")
    return root


LAYOUTS = (flat, with_splits, around, with_table)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_that_did_not_change_is_not_listed_again(
    layout: Callable[[Path], Path], tmp_path: Path, listed: list[str]
) -> None:
    """Its files are looked at, one by one, and that is all."""
    root = layout(tmp_path / "pets")
    before = fingerprint(root)
    assert listed
    listed.clear()
    assert fingerprint(root) == before
    assert listed == []


def first(root: Path) -> Path:
    return min(root.rglob("*.png"))


def added(root: Path) -> None:
    shutil.copy(first(root), first(root).with_name("new.png"))


def removed(root: Path) -> None:
    first(root).unlink()


def renamed(root: Path) -> None:
    first(root).rename(first(root).with_name("other.png"))


def changed_in_place(root: Path) -> None:
    """The size and the time of the last change are what they were."""
    file = first(root)
    status, content = file.stat(), bytearray(file.read_bytes())
    content[-5] ^= 1
    with file.open("r+b") as opened:
        opened.write(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (status.st_size, status.st_mtime_ns, status.st_ino)


def replaced(root: Path) -> None:
    """By another file of the same size and time."""
    file, other = first(root), root.with_name("other.png")
    shutil.copy2(file, other)
    changed_in_place(root)
    shutil.copystat(other, file)
    other.unlink()


def grown(root: Path) -> None:
    with first(root).open("ab") as file:
        file.write(b"\0")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("change", [added, removed, renamed, changed_in_place, replaced, grown])
def test_every_change_to_the_images_is_noticed(
    layout: Callable[[Path], Path], change: Callable[[Path], None], tmp_path: Path
) -> None:
    """The fingerprint is that of a folder which nobody has seen before."""
    root = layout(tmp_path / "pets")
    before = fingerprint(root)
    change(root)
    assert fingerprint(root) == fingerprint(root, cache="another") != before


def test_a_class_more_is_noticed(tmp_path: Path) -> None:
    """And one that is renamed."""
    root = images_of(tmp_path / "pets")
    before = fingerprint(root)
    images_of(root, classes=("bird",))
    after = fingerprint(root)
    assert after == fingerprint(root, cache="another") != before
    (root / "bird").rename(root / "fish")
    assert fingerprint(root) == fingerprint(root, cache="a third") not in (before, after)


def test_other_labels_are_noticed(tmp_path: Path) -> None:
    """With the same size and time as before, and those of a table that replaces the folders."""
    root = with_table(tmp_path / "pets")
    table = root / "labels.csv"
    before, status = fingerprint(root), table.stat()
    with table.open("r+b") as file:
        file.write(table.read_bytes().replace(b"0.png,dog", b"0.png,cat"))
    os.utime(table, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprint(root) == fingerprint(root, cache="another") != before


def test_what_was_written_just_now_is_not_trusted(
    tmp_path: Path, listed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be written again within one tick of the clock of its file system."""
    monkeypatch.setattr(folder_state, "SETTLED_NS", 3600 * 10**9)
    root = images_of(tmp_path / "pets")
    fingerprint(root)
    listed.clear()
    fingerprint(root)
    assert listed


def test_links_are_followed_each_time(tmp_path: Path, listed: list[str]) -> None:
    """What they lead to may change while their own folder does not."""
    root = images_of(tmp_path / "pets")
    (root / "cat" / "link.png").symlink_to(root / "dog" / "0.png")
    fingerprint(root)
    listed.clear()
    fingerprint(root)
    assert listed


def test_a_file_that_nobody_reads_is_looked_at_each_time(
    tmp_path: Path, listed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is too large may shrink."""
    root = images_of(tmp_path / "pets")
    large = (root / "cat" / "0.png").stat().st_size
    monkeypatch.setattr("components.ingest.reading.listing.too_large", lambda size: "large" * (size == large))
    fingerprint(root)
    listed.clear()
    fingerprint(root)
    assert listed


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-9],
        lambda content: content[:40],
        lambda content: b"[]\n" + content,
        lambda content: content.replace(b"0.png", b"9.png", 1),
        lambda content: re.sub(rb"(sha256:)....", rb"\g<1>0000", content),
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    ],
)
def test_a_damaged_state_counts_as_none(damage: Callable[[bytes], bytes], tmp_path: Path, listed: list[str]) -> None:
    """The folder is listed again, to the same fingerprint."""
    root = images_of(tmp_path / "pets")
    before = fingerprint(root)
    (state,) = (tmp_path / "cache").glob("folder-*.state")
    state.write_bytes(damage(state.read_bytes()))
    listed.clear()
    assert fingerprint(root) == before
    assert listed


def test_other_code_lists_the_folder_again(tmp_path: Path, listed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take other files for images."""
    root = images_of(tmp_path / "pets")
    fingerprint(root)
    listed.clear()
    monkeypatch.setattr(folder_state, "_form", lambda: "of another version")
    fingerprint(root)
    assert listed


def test_other_settings_have_a_state_of_their_own(tmp_path: Path) -> None:
    """A table may be read instead of the folders."""
    root = images_of(tmp_path / "pets")
    (root / "labels.csv").write_text("file,label\n" + "".join(f"cat/{n}.png,{'ab'[n % 2]}\n" for n in range(8)))
    folders, table = fingerprint(root), fingerprint(root, labels="labels.csv")
    assert folders != table
    assert (fingerprint(root), fingerprint(root, labels="labels.csv")) == (folders, table)


@pytest.mark.parametrize(
    ("name", "settings", "is_listed"), [("pets", {}, False), ("birds", {}, True), ("pets", {"test_share": 0.5}, True)]
)
def test_a_folder_is_listed_once_to_be_identified_and_read(
    name: str, settings: dict[str, float], is_listed: bool, tmp_path: Path, listed: list[str]
) -> None:
    """A second reader lists it, as does one of another folder or with other settings."""
    images_of(tmp_path / "birds")
    fingerprint(images_of(tmp_path / "pets"))
    params = Ingest(source=str(tmp_path / name), **settings)  # type: ignore[arg-type]
    for again in (is_listed, True):
        listed.clear()
        assert folder.read(params, tmp_path / "cache").images == 16
        assert ("<DirEntry 'cat'>" in listed) == again


def test_a_listing_from_before_a_change_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process has listed the folder since, and has left its fingerprint in the cache."""
    root, cache = images_of(tmp_path / "pets"), tmp_path / "cache"
    fingerprint(root)
    before = dict(folder.LISTED)
    save(root / "cat" / "new.png", 99)
    fingerprint(root)
    monkeypatch.setattr(folder, "LISTED", before)
    fingerprint(root)
    assert folder.read(Ingest(source=str(root)), cache).images == 17


def test_a_file_that_changed_since_the_folder_was_listed_is_not_trusted(tmp_path: Path) -> None:
    """It may have been hashed before."""
    root, params = images_of(tmp_path / "pets"), Ingest(source=str(tmp_path / "pets"))
    state, later = FolderState(root, params, tmp_path / "cache"), time.time_ns() + 10**12
    os.utime(root / "cat" / "0.png", ns=(later, later))
    listing = list_images(root, params)
    state.keep("sha256:1", listing.images, listing)
    assert state.fingerprint() == ""
    os.utime(root / "cat" / "0.png", ns=(1, 1))
    listing, state = list_images(root, params), FolderState(root, params, tmp_path / "cache")
    state.keep("sha256:1", listing.images, listing)
    assert state.fingerprint() == "sha256:1"
