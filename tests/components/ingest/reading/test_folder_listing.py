"""Folders as they are: what systems, programs and links leave beside the images, and what a folder must not do."""

import os
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from components.errors import DataRejected, SourceError, SourceUnreachable
from components.ingest.reading.folder_listing import list_images
from components.ingest.reading.listing import ImageFiles, Listing
from components.system.stat_table import StatedFiles, Status

SYSTEM = ("lost+found", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "__pycache__", "@Recycle")
HIDDEN = (".Trash-1000", ".Spotlight-V100", ".ipynb_checkpoints", ".snapshot", ".git", ".venv")


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of two images each; a listing opens none of them."""
    touch(*(tmp_path / "root" / name / f"{i}.png" for name in ("cat", "dog") for i in range(2)))
    return tmp_path / "root"


def names(listing: Listing) -> list[str]:
    return [image.path for image in listing.images]


@pytest.mark.parametrize("name", [*SYSTEM, *(name.swapcase() for name in SYSTEM), *HIDDEN])
@pytest.mark.parametrize("beside", ["", "cat"])
def test_what_systems_leave_behind_is_no_class(root: Path, name: str, beside: str) -> None:
    """At every level and in any case of letters, with images or without; it is counted."""
    expected = names(list_images(root))
    touch(root / beside / name / "thumbnail.jpg")
    listing = list_images(root)
    assert names(listing) == expected
    assert listing.others == []
    kind = "hidden" if name in HIDDEN else "of the system"
    assert listing.ignored == {f"{beside}/{name}".strip("/"): kind}


def test_a_system_folder_is_not_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`lost+found` belongs to root and is closed to others."""
    (root / "lost+found").mkdir()
    scandir = os.scandir

    def closed(path: "Path | os.DirEntry[str]") -> object:
        if Path(path).name == "lost+found":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert list_images(root).classes == ["cat", "dog"]


def test_a_system_folder_does_not_turn_a_class_into_a_split(root: Path) -> None:
    """A class called train, in which a server keeps its thumbnails, holds images and no classes."""
    touch(root / "train" / "0.png", root / "train" / "@eaDir" / "0.jpg")
    assert list_images(root).classes == ["cat", "dog", "train"]


@pytest.mark.parametrize(
    "name", ["recycle", "snapshot", "$100", "@home", "#1", "trash", "icon", "cache", "work", "runs"]
)
def test_a_name_that_only_resembles_one_is_a_class(root: Path, name: str) -> None:
    touch(root / name / "0.png")
    assert name in list_images(root).classes


def workspace(folder: Path) -> None:
    for name in ("artifacts", "runs", "cache", "locks"):
        (folder / name).mkdir(parents=True)


def inside(root: Path) -> str:
    workspace(root / "workspace")
    touch(root / "workspace" / "mlflow.db")
    return "workspace"


def the_source_itself(root: Path) -> str:
    workspace(root)
    (root / "tensorboard").mkdir()
    return "artifacts cache locks runs tensorboard"


def mlflow(root: Path) -> str:
    touch(root / "mlruns" / "0" / "meta.yaml")
    return "mlruns"


def environment(root: Path) -> str:
    touch(root / "venv" / "pyvenv.cfg")
    return "venv"


@pytest.mark.parametrize("make", [inside, the_source_itself, mlflow, environment], ids=lambda make: make.__name__)
def test_what_programs_write_beside_the_classes_is_no_class(root: Path, make: Callable[[Path], str]) -> None:
    """The workspace, MLflow's folder and a Python environment are left out and named, as long as they hold no image."""
    expected = names(list_images(root))
    left_out = make(root).split()
    listing = list_images(root)
    assert sorted(listing.left_out) == left_out
    assert names(listing) == expected
    for name in left_out:
        touch(root / name / "0.png")
    assert set(left_out) < set(list_images(root).classes)


def test_links_that_lead_nowhere_are_left_out(root: Path) -> None:
    """To themselves, to each other or to nothing; they are named."""
    (root / "bird").symlink_to("bird")
    (root / "cat" / "loop.png").symlink_to("loop.png")
    (root / "cat" / "a.png").symlink_to("b.png")
    (root / "cat" / "b.png").symlink_to("a.png")
    (root / "dog" / "gone.png").symlink_to("nothing.png")
    listing = list_images(root)
    assert list(listing.images) == list(list_images(root).images)
    assert len(listing.images) == 4
    assert listing.left_out == dict.fromkeys(
        ("bird", "cat/loop.png", "cat/a.png", "cat/b.png", "dog/gone.png"), "a link to nothing"
    )


def test_a_link_to_a_folder_above_is_not_walked(root: Path) -> None:
    """The folder contains itself through it."""
    (root / "cat" / "up").symlink_to("..")
    assert list_images(root).others == ["cat/up"]


def test_a_fifo_a_socket_and_a_folder_are_no_images(root: Path) -> None:
    """Whatever their names say; nothing waits for the writer of the FIFO."""
    os.mkfifo(root / "cat" / "pipe.png")
    (root / "cat" / "folder.png").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(root / "cat" / "socket.png"))
        listing = list_images(root)
    special = "a FIFO, socket or device"
    assert sorted(listing.others) == [
        "cat/folder.png (a folder)",
        f"cat/pipe.png ({special})",
        f"cat/socket.png ({special})",
    ]


def test_a_huge_file_is_refused_before_it_is_read(root: Path) -> None:
    """Ten sparse gigabytes."""
    touch(root / "cat" / "huge.png")
    os.truncate(root / "cat" / "huge.png", 10 * 2**30)
    (file,) = list_images(root).unusable
    assert (file.path, file.reason) == ("cat/huge.png", "10,737,418,240 bytes; expected at most 536,870,912")


FAILURES = {
    PermissionError(13, "Permission denied"): (SourceError, "cat cannot be read: permission denied; make it readable"),
    FileNotFoundError(2, "No such file"): (SourceUnreachable, "cat disappeared while it was being read; run it again"),
    OSError(5, "Input/output error"): (SourceUnreachable, "cat cannot be read: Input/output error; check the disk"),
}


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_a_folder_that_cannot_be_listed_is_named(root: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """A closed folder, one that vanishes, and a broken disk."""
    scandir = os.scandir

    def broken(path: "Path | os.DirEntry[str]") -> object:
        if Path(path).name == "cat":
            raise error
        return scandir(path)

    failure, message = FAILURES[error]
    monkeypatch.setattr(os, "scandir", broken)
    with pytest.raises(failure, match=message):
        list_images(root)


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ("train test", "train/ is the training split, test/ is the test split"),
        ("Training TESTING", "Training/ is the training split, TESTING/ is the test split"),
        ("train val", "train/ is the training split, val/ is the test split"),
        ("Train Valid", "Train/ is the training split, Valid/ is the test split"),
        ("training validation", "training/ is the training split, validation/ is the test split"),
        ("train val test", "train/ is the training split, val/ is the validation split, test/ is the test split"),
        ("seg_train/seg_train seg_test/seg_test", "seg_train/ is the training split, seg_test/ is the test split"),
        ("training_set test_set", "training_set/ is the training split, test_set/ is the test split"),
        ("Data/Data/train Data/Data/test", "Data/Data/train/ is the training split, Data/Data/test/ is the test split"),
    ],
)
def test_usual_names_of_splits_are_understood(tmp_path: Path, folders: str, expected: str) -> None:
    """In any case of letters and below folders that hold nothing else; a note says which is used for what."""
    touch(*(tmp_path / folder / name / "0.png" for folder in folders.split() for name in ("cat", "dog")))
    listing = list_images(tmp_path)
    assert listing.notes == [expected]
    assert len(listing.images) == 2 * len(folders.split())
    assert {image.split for image in listing.images} == {"train", "test"} | ({"validation"} & {*listing.folders})
    assert ("validation" in listing.folders) == ("validation split" in expected)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ("train", "has a folder train but no folder test with classes in it; expected both, or --source .*/train"),
        ("Testing", "has a folder Testing but no folder train with classes in it"),
        ("val test", "has a folder test but no folder train"),
        ("train training test", "has two training splits, train and training; expected one"),
    ],
)
def test_half_of_a_split_is_refused(tmp_path: Path, folders: str, message: str) -> None:
    """So are two of a kind, of which nobody knows which is meant."""
    touch(*(tmp_path / folder / name / "0.png" for folder in folders.split() for name in ("cat", "dog")))
    with pytest.raises(DataRejected, match=message):
        list_images(tmp_path)


@pytest.mark.parametrize("around", ["Dataset", "Dataset/Dataset", "a/b/c"])
def test_classes_are_found_below_folders_that_hold_nothing_else(tmp_path: Path, around: str) -> None:
    """As in many archives; what lies beside them does not matter."""
    touch(*(tmp_path / around / name / "0.png" for name in ("cat", "dog")))
    touch(
        tmp_path / "README.md", tmp_path / "__MACOSX" / "x.png", tmp_path / ".DS_Store", tmp_path / around / "LICENSE"
    )
    listing = list_images(tmp_path)
    assert listing.classes == ["cat", "dog"]
    assert listing.notes == [f"the class folders are in {around}/"]
    assert sorted(listing.ignored) == sorted([".DS_Store", "README.md", "__MACOSX", f"{around}/LICENSE"])


def test_folders_beside_the_splits_are_named(tmp_path: Path) -> None:
    """Images without classes, for instance, which a competition brings."""
    touch(*(tmp_path / split / name / "0.png" for split in ("train", "valid") for name in ("cat", "dog")))
    touch(tmp_path / "test" / "0.png")
    (tmp_path / "mlruns").mkdir()
    listing = list_images(tmp_path)
    assert listing.notes == ["train/ is the training split, valid/ is the test split"]
    assert listing.left_out == {"test": "beside the splits"}


def test_a_single_class_is_no_folder_around_others(tmp_path: Path) -> None:
    """A folder of images is a class, whatever folders lie in it."""
    touch(tmp_path / "cat" / "0.png", tmp_path / "cat" / "more" / "1.png", tmp_path / "cat" / "most" / "2.png")
    with pytest.raises(DataRejected, match=r"has only one class \('cat'\)"):
        list_images(tmp_path)


def test_validation_may_lack_a_class(tmp_path: Path) -> None:
    """Training and test may not."""
    touch(*(tmp_path / split / name / "0.png" for split in ("train", "test") for name in ("cat", "dog")))
    touch(tmp_path / "val" / "cat" / "0.png")
    assert list_images(tmp_path).classes == ["cat", "dog"]
    touch(tmp_path / "test" / "bird" / "0.png")
    with pytest.raises(DataRejected, match=r"train has no class folder 'bird'; expected it in train and test"):
        list_images(tmp_path)


def test_the_files_of_a_listing_are_known_in_the_order_of_their_paths(tmp_path: Path) -> None:
    """Classes are in the order of their numbers, 2 before 10; each file keeps its status."""
    touch(*(tmp_path / name / f"{i}.png" for name in ("2", "10", "1") for i in (1, 0)))
    for size, name in enumerate(("2/0", "10/1", "1/0")):
        (tmp_path / f"{name}.png").write_bytes(bytes(size + 1))
    images = list_images(tmp_path).images
    assert images.paths == ["1/0.png", "1/1.png", "2/0.png", "2/1.png", "10/0.png", "10/1.png"]
    for files in (StatedFiles.of(images.items()), images.in_path_order()):
        for place, path in enumerate(files.names):
            assert [*files.part(place, place + 1).statuses] == [*Status.of((tmp_path / path).stat())]
    assert images.in_path_order().names == sorted(images.paths)


def test_a_million_files_are_sorted_in_little_memory() -> None:
    """On top of what is kept of them, less than 150 bytes for each."""
    images, files = ImageFiles(), 20_000
    for number in range(files):
        images.add(f"{number * 7 % files:06d}.png", "", "ab"[number % 2], Status(1, 2, 3, number))
    tracemalloc.start()
    try:
        images.sort({("", "a"): (0, 1), ("", "b"): (0, 0)})
        ordered = images.in_path_order()
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert taken < 150 * files
    assert ordered.names == sorted(images.paths) != images.paths
