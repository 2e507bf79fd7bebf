"""IDX files: read completely when they are valid, refused by name when they are not."""

import gzip
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data.pictures.idx_format import IdxFile
from components.errors import DataRejected, Failure, SourceError, SourceUnreachable
from components.ingest import select
from components.ingest.reading.idx_files import find
from components.ingest.sources import idx
from components.settings.sections import Ingest
from tests.support import idx_files

IMAGES, LABELS = idx_files.NAMES[:2]


def read_all(folder: Path) -> None:
    for _ in idx.read(Ingest(source=str(folder)), Path()).blocks:
        pass


@pytest.mark.parametrize("packed", [True, False])
def test_the_four_files_are_read_as_written(tmp_path: Path, packed: bool) -> None:
    """Images, labels and splits of a folder of IDX files, gzip or raw, are what was written."""
    source = idx.read(Ingest(source=str(idx_files.write(tmp_path / "letters", packed))), Path())
    blocks = list(source.blocks)
    train_images, train_labels, test_images, _ = idx_files.arrays()
    assert [(split, len(images)) for split, images, _ in blocks] == [("train", 20), ("test", 10)]
    assert (blocks[0][1][..., 0] == train_images).all()
    assert (blocks[1][1][..., 0] == test_images).all()
    assert source.classes == ["1", "2", "3"]
    assert blocks[0][2].tolist() == (train_labels - 1).tolist()
    assert (source.shape, source.images) == ((4, 3, 1), 30)


def test_reading_confirms_the_fingerprint(tmp_path: Path) -> None:
    """The fingerprint is that of the decompressed bytes: gzip or raw, before or after reading, it is the same."""
    fingerprints = set()
    for packed in (True, False):
        params = Ingest(source=str(idx_files.write(tmp_path / str(packed) / "same", packed)))
        source = idx.read(params, Path())
        list(source.blocks)
        fingerprints |= {source.fingerprint(), idx.fingerprint(params, tmp_path / "cache")}
    other = idx_files.write(tmp_path / "other" / "same", seed=1)
    assert len(fingerprints) == 1
    assert idx.fingerprint(Ingest(source=str(other)), tmp_path / "cache") not in fingerprints


@pytest.mark.parametrize("prefix", ["", "emnist-letters-"])
def test_names_with_a_prefix_or_a_dot_are_found(tmp_path: Path, prefix: str) -> None:
    """Files can be called emnist-letters-train-images... or train-images.idx3-ubyte."""
    folder = idx_files.write(tmp_path / "idx", packed=False, prefix=prefix)
    for path in folder.iterdir():
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert select.kind(str(folder)) == "idx"
    read_all(folder)


def truncate(folder: Path) -> None:
    path = folder / f"{IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:-20])


def damage(folder: Path) -> None:
    path = folder / f"{IMAGES}.gz"
    data = bytearray(path.read_bytes())
    data[-6] ^= 1  # within the checksum that ends a gzip file
    path.write_bytes(data)


def rewrite(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / f"{name}.gz"
        path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))

    return apply


def append(folder: Path) -> None:
    path = folder / f"{IMAGES}.gz"
    path.write_bytes(path.read_bytes() + b"garbage")


BAD = {
    "gzip cut off": (truncate, "truncated"),
    "gzip damaged": (damage, "damaged"),
    "values missing": (rewrite(IMAGES, lambda data: data[:-1]), "truncated"),
    "header cut off": (rewrite(IMAGES, lambda data: data[:9]), "truncated"),
    "too many values": (rewrite(IMAGES, lambda data: data + b"x"), "more data"),
    "wrong magic": (rewrite(IMAGES, lambda data: b"\x00\x00\x08\x01" + data[4:]), "begins with 00 00 08 01"),
    "floats": (rewrite(IMAGES, lambda data: b"\x00\x00\x0d\x03" + data[4:]), "begins with 00 00 0d 03"),
    "more images promised": (rewrite(IMAGES, lambda data: data[:4] + struct.pack(">I", 21) + data[8:]), "20 labels"),
    "fewer labels": (rewrite(LABELS, lambda data: data[:4] + struct.pack(">I", 19) + data[8:-1]), "19 labels"),
    "no pixels": (rewrite(IMAGES, lambda data: data[:8] + struct.pack(">II", 0, 3)), "20 x 0 x 3"),
    "huge sides": (rewrite(IMAGES, lambda data: data[:8] + struct.pack(">II", 2**31, 3)), "x 2147483648 x"),
    "bomb": (rewrite(IMAGES, lambda data: data[:4] + struct.pack(">III", 2**31, 28, 28)), "decompression bomb"),
    "bomb of labels": (rewrite(LABELS, lambda data: data[:4] + struct.pack(">I", 2**29)), "decompression bomb"),
    "more than all memory": (
        rewrite(IMAGES, lambda data: data[:4] + struct.pack(">III", 2**32 - 1, 4096, 4096)),
        "bomb",
    ),
    "no images": (rewrite(IMAGES, lambda data: data[:4] + struct.pack(">III", 0, 4, 3)), "0 x 4 x 3 bytes"),
    "garbage after gzip": (append, "damaged"),
    "another size": (rewrite(IMAGES, lambda data: data[:8] + struct.pack(">II", 3, 4) + data[16:]), "3 x 4"),
}


@pytest.mark.parametrize("fault", BAD)
def test_an_invalid_file_is_refused_by_name(tmp_path: Path, fault: str) -> None:
    """Whatever is wrong with a file, one line says which file and what, and the exit status is 3."""
    corrupt, expected = BAD[fault]
    folder = idx_files.write(tmp_path / "idx")
    corrupt(folder)
    with pytest.raises(DataRejected, match=expected) as caught:
        read_all(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 255), packed=st.booleans())
def test_a_file_cut_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, cut: int, packed: bool) -> None:
    """No truncated file, wherever it ends, is read as a smaller data set."""
    folder = idx_files.write(tmp_path_factory.mktemp("idx"), packed)
    path = find(folder)["train-images"]
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Failure):
        read_all(folder)


def test_a_raw_file_of_another_length_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """The length of a raw file is compared with its header first."""
    path = tmp_path / IMAGES
    path.write_bytes(idx_files.idx(np.zeros((3, 4, 3), np.uint8)) + b"?")
    with pytest.raises(DataRejected, match="holds 37 bytes after its header, which promises 3 x 4 x 3"):
        IdxFile(path, 3)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def dangling(path: Path) -> None:
    path.symlink_to("nothing")


@pytest.mark.parametrize("replace", [fifo, loop, dangling, Path.mkdir], ids=lambda replace: replace.__name__)
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, replace: Callable[[Path], None]) -> None:
    """Nothing waits for the writer of a FIFO; MNIST_DIR is read in the same way."""
    folder = idx_files.write(tmp_path / "idx")
    (folder / f"{IMAGES}.gz").unlink()
    replace(folder / f"{IMAGES}.gz")
    for attempt in (
        lambda: select.kind(str(folder)),
        lambda: read_all(folder),
        lambda: select.read(Ingest(source="mnist", data_dir=str(folder)), Path()),
    ):
        with pytest.raises(SourceError, match=rf"{IMAGES}\.gz is not a regular file, or a link to nothing; remove it"):
            attempt()


def test_a_fifo_that_appears_later_is_refused_at_once(tmp_path: Path) -> None:
    """Between looking for a file and reading it."""
    fifo(tmp_path / IMAGES)
    with pytest.raises(SourceError, match="is not a regular file"):
        IdxFile(tmp_path / IMAGES, 3)


def test_a_broken_disk_is_no_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EIO half-way may be gone at the next attempt."""

    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    file = IdxFile(idx_files.write(tmp_path / "idx") / f"{IMAGES}.gz", 3)
    monkeypatch.setattr(gzip.GzipFile, "read", broken)
    with pytest.raises(SourceUnreachable, match=rf"{IMAGES}\.gz cannot be read: Input/output error; check the disk"):
        list(file.raw_blocks())


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A file of 150 MB is read within 20 MB."""
    path = tmp_path / IMAGES
    count = 150 * 2**20 // 784
    path.write_bytes(b"\x00\x00\x08\x03" + struct.pack(">III", count, 28, 28))
    os.truncate(path, 16 + count * 784)
    tracemalloc.start()
    seen = sum(len(block) for block in IdxFile(path, 3).blocks())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == count
    assert peak < 20 * 2**20


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Three files of four: the error says which one is missing, by its usual name."""
    folder = idx_files.write(tmp_path / "idx")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(SourceError, match="no t10k-labels-idx1-ubyte"):
        idx.read(Ingest(source=str(folder)), Path())


def test_two_data_sets_in_one_folder_are_refused(tmp_path: Path) -> None:
    """Two files for one role: neither is chosen silently."""
    folder = idx_files.write(tmp_path / "idx", prefix="a-")
    idx_files.write(folder, prefix="b-")
    with pytest.raises(SourceError, match=r"both a-t10k-images.* and b-t10k-images"):
        idx.read(Ingest(source=str(folder)), Path())


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    """An IDX file that is a link to somewhere else is named and not read."""
    folder = idx_files.write(tmp_path / "idx")
    (folder / f"{IMAGES}.gz").rename(tmp_path / "elsewhere")
    (folder / f"{IMAGES}.gz").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataRejected, match=rf"{IMAGES}.gz is a link out of"):
        idx.read(Ingest(source=str(folder)), Path())
