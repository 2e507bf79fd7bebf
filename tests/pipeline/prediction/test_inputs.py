"""What predict is given: each kind of input, and a sentence for what is none."""

import gzip
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.errors import DataRejected, Failure, SourceError
from pipeline.prediction import inputs
from pipeline.prediction.reading import Files, Idx
from tests.support import idx_files

NOTHING = io.BytesIO()


def sources(*arguments: object) -> list[Files | Idx]:
    return inputs.sources([str(argument) for argument in arguments], NOTHING)


def test_inputs_are_read_in_their_order(tmp_path: Path) -> None:
    """Pictures beside each other are read together, as a shell names them."""
    for name in ("b.png", "a.png", "c.png"):
        Image.new("L", (2, 2)).save(tmp_path / name)
    (tmp_path / "idx").write_bytes(idx_files.idx(np.zeros((3, 2, 2), np.uint8)))
    first, second, third = sources(tmp_path / "b.png", tmp_path / "a.png", tmp_path / "idx", tmp_path / "c.png")
    assert first == Files([f"{tmp_path}/b.png", f"{tmp_path}/a.png"])
    assert [str(name) for name in second.names()] == [f"{tmp_path}/idx[{number}]" for number in range(3)]
    assert third == Files([f"{tmp_path}/c.png"])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gone", r"gone cannot be read \(No such file or directory\); expected a picture, a folder of PNG"),
        ("x" * 300, r"cannot be read \(File name too long\)"),
        ("a.png/b.png", r"cannot be read \(Not a directory\)"),
        ("nul\0.png", r"cannot be read \(.*embedded null \w+.*\)"),
        ("fifo", "fifo is a FIFO, a socket or a device; expected a picture"),
        ("pictures.zip", r"pictures\.zip is an archive; unpack it, and name the folder"),
        ("pictures.tar.gz", r"pictures\.tar\.gz is an archive"),
        ("empty", "empty holds no pictures; expected PNG, JPEG, WebP, BMP or TIFF files, at any depth"),
        ("mnist", r"mnist holds no pictures; name its IDX file of images: .*/t10k-images-idx3-ubyte"),
    ],
)
def test_what_cannot_be_classified_is_refused_in_a_sentence(tmp_path: Path, name: str, sentence: str) -> None:
    """With what was expected."""
    os.mkfifo(tmp_path / "fifo")
    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        archive.write(tmp_path / "a.png")
    (tmp_path / "pictures.tar.gz").write_bytes(gzip.compress(b""))
    (tmp_path / "empty/.hidden").mkdir(parents=True)
    idx_files.write(tmp_path / "mnist", packed=False)
    with pytest.raises(SourceError, match=sentence):
        sources(tmp_path / name)


EMPTY = idx_files.idx(np.zeros((0, 28, 28), np.uint8))
LABELS = idx_files.idx(np.zeros(9, np.uint8))
IMAGES = idx_files.idx(np.zeros((2, 4, 4), np.uint8))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(EMPTY, "holds 0 x 28 x 28 bytes", id="empty"),
        pytest.param(LABELS, "begins with 00 00 08 01; expected 00 00 08 03", id="labels"),
        pytest.param(IMAGES[:-1], "bytes after its header, which promises 2 x 4 x 4", id="truncated"),
        pytest.param(gzip.compress(b"some other thing"), "begins with 73 6f 6d 65", id="packed"),
        pytest.param(gzip.compress(IMAGES)[:15], "truncated or damaged", id="packed and truncated"),
    ],
)
def test_an_idx_file_that_is_none_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    """Empty, of labels, truncated, or another thing that is packed."""
    (tmp_path / "images").write_bytes(content)
    with pytest.raises(DataRejected, match=sentence):
        sources(tmp_path / "images")


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of root may read everything, so the system's answer is given for it."""
    (tmp_path / "closed").mkdir()

    (tmp_path / "open").mkdir()
    Image.new("L", (2, 2)).save(tmp_path / "open/a.png")
    scandir = os.scandir

    def refused(path: str) -> "os._ScandirIterator[str]":
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(Failure, match="closed cannot be read: permission denied"):
        sources(tmp_path / "closed")
    assert sources(tmp_path) == [Files([f"{tmp_path}/closed", f"{tmp_path}/open/a.png"])]  # a row for each


def test_standard_input_without_a_path_is_refused() -> None:
    """An empty listing is a mistake of whoever made it."""
    with pytest.raises(SourceError, match="standard input holds no paths"):
        inputs.sources(["-"], io.BytesIO(b"\n"))


def test_names_that_are_no_utf8_are_read(tmp_path: Path) -> None:
    """From a folder, and from standard input."""
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(path)).touch()
    (in_folder,) = sources(tmp_path)
    (listed,) = inputs.sources(["-"], io.BytesIO(path + b"\n"))
    assert in_folder == listed == Files([os.fsdecode(path)])
