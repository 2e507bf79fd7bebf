"""MNIST: the same bytes wherever they come from, and a missing network is detected soon."""

import math
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.errors import DataRejected, SourceError, SourceUnreachable, StorageFailed
from components.ingest.reading import mnist_download
from components.ingest.reading.idx_files import content_sha256, find
from components.ingest.sources import mnist
from components.settings.sections import Ingest
from tests.support import idx_files

NOBODY = "http://127.0.0.1:9/"  # the port "discard", on which nothing listens
REAL = os.environ.get("MNIST_DIR", "")
SHAPES = [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Do not log requests."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of an HTTP server, and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def black(folder: Path) -> Path:
    """Four files of MNIST's shape in which every byte is 0."""
    for name, shape in zip(idx_files.NAMES, SHAPES, strict=True):
        header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
        (folder / name).write_bytes(header)
        os.truncate(folder / name, len(header) + math.prod(shape))
    return folder


def test_the_fingerprint_needs_no_data(tmp_path: Path) -> None:
    """There is one MNIST: its fingerprint is known without its files."""
    params = Ingest(source="mnist", data_dir=str(tmp_path / "missing"))
    assert mnist.fingerprint(params, tmp_path) == mnist.fingerprint(Ingest(source="mnist"), tmp_path)


def test_a_folder_that_lacks_a_file_is_an_error(tmp_path: Path) -> None:
    """Where MNIST_DIR is set, a missing file or folder is named, and nothing is downloaded instead."""
    folder = idx_files.write(tmp_path / "mnist")
    (folder / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(SourceError, match="has no t10k-images-idx3-ubyte; expected"):
        mnist.read(Ingest(source="mnist", data_dir=str(folder), mirror=NOBODY), Path())
    with pytest.raises(SourceError, match="does not exist"):
        mnist.read(Ingest(source="mnist", data_dir=str(tmp_path / "missing")), Path())
    with pytest.raises(SourceError, match="cannot be read: File name too long; expected a folder"):
        mnist.read(Ingest(source="mnist", data_dir="x" * 300), Path())


def test_files_of_another_shape_are_refused(tmp_path: Path) -> None:
    """Other IDX files are detected at once, with the way to use them as a source of their own."""
    with pytest.raises(DataRejected, match=r"20 x 4 x 3 pixels; MNIST's has 60000 x 28 x 28; .*SOURCE=FOLDER"):
        mnist.read(Ingest(source="mnist", data_dir=str(idx_files.write(tmp_path))), Path())


def test_files_with_other_bytes_are_refused(tmp_path: Path) -> None:
    """The right shape is not enough: the sha256 of the bytes is compared, and the first file that differs is named."""
    source = mnist.read(Ingest(source="mnist", data_dir=str(black(tmp_path))), Path())
    with pytest.raises(DataRejected, match=r"train-images-idx3-ubyte: the sha256 .* expected ba891046e650"):
        for _ in source.blocks:
            pass


def test_a_mirror_with_other_files_is_refused_and_nothing_is_cached(tmp_path: Path, served: tuple[str, Path]) -> None:
    """Files from a mirror are verified, and wrong ones do not stay in the cache."""
    address, folder = served
    idx_files.write(folder)
    with pytest.raises(DataRejected, match=rf"{address}/ serves files that are not MNIST's: .*the sha256"):
        mnist.read(Ingest(source="mnist", mirror=address, tfds_dir=str(tmp_path / "tfds")), Path())
    assert not list((tmp_path / "tfds").rglob("*ubyte*"))


def test_a_mirror_without_the_files_is_a_wrong_setting(tmp_path: Path, served: tuple[str, Path]) -> None:
    """404 is an answer: the address is wrong, and a retry would not help."""
    with pytest.raises(SourceError, match=r"answers 404 for t10k-labels-idx1-ubyte\.gz"):
        mnist.read(Ingest(source="mnist", mirror=served[0], tfds_dir=str(tmp_path)), Path())
    with pytest.raises(SourceError, match="'ftp://host/'; expected an address such as http"):
        mnist.read(Ingest(source="mnist", mirror="ftp://host/", tfds_dir=str(tmp_path)), Path())


@pytest.mark.parametrize("mirror", ["http://", "http://[", "http://a b/", "http://x:port/", "http://x\0/", "http://é/"])
def test_an_address_that_is_none_is_told(tmp_path: Path, mirror: str) -> None:
    """One sentence that names it and the other ways, not what an address is made of."""
    with pytest.raises(SourceUnreachable, match=r"MNIST cannot be downloaded from .*; set MNIST_DIR to a folder"):
        mnist.read(Ingest(source="mnist", mirror=mirror, tfds_dir=str(tmp_path)), Path())


def test_downloads_are_cached_for_times_without_a_network(tmp_path: Path, served: tuple[str, Path]) -> None:
    """The second time, the four files come from tensorflow-datasets' cache, without a network."""
    address, folder = served
    idx_files.write(folder)
    fetched = mnist_download.fetch(f"{address}/", tmp_path, lambda role, path: None)
    assert mnist_download.kept(tmp_path) == fetched
    assert {role: content_sha256(path, role) for role, path in fetched.items()} == {
        role: content_sha256(path, role) for role, path in find(folder).items()
    }
    mnist.look(Ingest(source="mnist", mirror=NOBODY, tfds_dir=str(tmp_path)))
    fetched["train-images"].unlink()
    assert mnist_download.kept(tmp_path) == {}


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b'{"dataset_names": ["mnist"], "ur',
        b"[]",
        b"null",
        b"\xff",
        b'{"dataset_names": null, "urls": null}',
        b'{"dataset_names": ["mnist"], "urls": []}',
        b"[" * 100_000,
    ],
)
def test_a_torn_note_of_a_download_is_a_file_that_is_not_there(
    tmp_path: Path, served: tuple[str, Path], note: bytes
) -> None:
    """tensorflow-datasets writes the .INFO last: a kill can leave it empty, and MNIST is fetched again."""
    idx_files.write(served[1])
    fetched = mnist_download.fetch(f"{served[0]}/", tmp_path, lambda role, path: None)
    path = fetched["test-images"]
    path.with_name(f"{path.name}.INFO").write_bytes(note)
    assert mnist_download.kept(tmp_path) == {}
    assert mnist_download.fetch(f"{served[0]}/", tmp_path, lambda role, path: None) == mnist_download.kept(tmp_path)


def test_a_damaged_download_is_downloaded_again(tmp_path: Path, served: tuple[str, Path]) -> None:
    """The damaged file is deleted and named; before, every run asked for a download that it never tried."""
    idx_files.write(served[1])
    fetched = mnist_download.fetch(f"{served[0]}/", tmp_path, lambda role, path: None)
    fetched["test-images"].write_bytes(b"torn")

    def accept(role: str, path: Path) -> None:
        content_sha256(path, role)

    assert not mnist_download.intact(mnist_download.kept(tmp_path), accept)
    assert mnist_download.kept(tmp_path) == {}
    assert mnist_download.intact(mnist_download.fetch(f"{served[0]}/", tmp_path, accept), accept)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, served: tuple[str, Path]) -> None:
    """The folder of tensorflow-datasets is a file."""
    idx_files.write(served[1])
    (tmp_path / "tfds").touch()
    with pytest.raises(StorageFailed, match=r"tfds/downloads/mnist/.* cannot be written .*set TFDS_DATA_DIR"):
        mnist_download.fetch(f"{served[0]}/", tmp_path / "tfds", lambda role, path: None)


def test_no_network_is_an_error_at_once_with_alternatives(tmp_path: Path) -> None:
    """Where nothing answers, the error names MNIST_DIR, the mirror and digits."""
    with pytest.raises(SourceUnreachable) as caught:
        mnist.read(Ingest(source="mnist", mirror=NOBODY, tfds_dir=str(tmp_path)), Path())
    for word in (NOBODY, "MNIST_DIR", "ingest.mirror", "SOURCE=digits"):
        assert word in str(caught.value)


def test_a_silent_network_is_detected_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that accepts the connection and never answers is given up within ten seconds."""
    assert mnist.SECONDS_TO_ANSWER <= 9
    monkeypatch.setattr(mnist, "SECONDS_TO_ANSWER", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        started = time.monotonic()
        with pytest.raises(SourceUnreachable, match="cannot be downloaded"):
            mnist.read(Ingest(source="mnist", mirror=address, tfds_dir=str(tmp_path)), Path())
        assert time.monotonic() - started < 5


def test_a_hanging_host_name_look_up_is_detected_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time-out covers the look-up of a host name, so a thread waits for it, no longer than allowed."""
    hangs = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: hangs.wait(20) and [])
    with pytest.raises(SourceUnreachable, match=r"no answer within 0\.3 s"):
        mnist_download.probe("http://mirror.example/", 0.3)
    hangs.set()


def test_the_usual_address_is_that_of_tensorflow_datasets() -> None:
    """Address and names of the files are those of the library's own data set, checksums included."""
    from tensorflow_datasets.image_classification.mnist import MNIST

    assert mnist_download.ADDRESS == MNIST.URL
    assert {mnist_download.ADDRESS + name for name in mnist_download.FILES.values()} == set(MNIST.url_infos)


@pytest.mark.skipif(not REAL, reason="MNIST_DIR is not set: the real files are not here")
def test_the_real_files_are_read_from_a_folder_and_a_mirror(tmp_path: Path, served: tuple[str, Path]) -> None:
    """70,000 images from MNIST_DIR; the same from a plain HTTP server over that folder, and again from the cache."""
    for path in find(Path(REAL)).values():
        (served[1] / path.name).symlink_to(path.resolve())
    ways = [Ingest(source="mnist", data_dir=REAL)]
    ways += [Ingest(source="mnist", mirror=url, tfds_dir=str(tmp_path / "tfds")) for url in (served[0], NOBODY)]
    for params in ways:
        source = mnist.read(params, Path())
        assert sum(len(labels) for _, _, labels in source.blocks) == source.images == 70_000
        assert source.fingerprint() == mnist.fingerprint(params, tmp_path)
