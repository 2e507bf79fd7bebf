"""Data sets of tensorflow-datasets: small ones, prepared by the library itself."""

import os
import re
import shutil
import struct
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from components.data.corrections import image_ids
from components.data.image_ids import pixel_ids
from components.data.pictures.decoding import resized
from components.data.pictures.resizing import Resizing
from components.data.splits import Split
from components.errors import DataRejected, SourceError, SourceUnreachable
from components.ingest import select
from components.ingest.reading import mnist_tfds, network, tfds_library
from components.ingest.sources import mnist, tfds
from components.settings.sections import Ingest
from components.system.tensorflow import tensorflow
from tests.components.ingest.test_corrected import check_corrections
from tests.support.unkind_servers import absent, dripping, huge, serving, whole

NOBODY = "http://127.0.0.1:9/"
NAMES = ("disc", "square")


def image_of(index: int, side: int = 6) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.random.default_rng(index).integers(0, 256, (side, side, 1), np.uint8)


@pytest.fixture(scope="module", autouse=True)
def _builders() -> None:
    """Register tiny_split, tiny_whole, tiny_various, tiny_text and tiny_remote; defining a builder registers it."""
    tensorflow()
    import tensorflow_datasets as library

    base: Any = library.core.GeneratorBasedBuilder

    class Tiny(base, skip_registration=True):  # type: ignore[misc,call-arg]
        VERSION = library.core.Version("1.0.0")
        pkg_dir_path = library.core.Path(__file__).parent  # the library looks in it for a description
        SPLITS: tuple[str, ...] = ("train", "test")
        SHAPE: tuple[int | None, ...] = (6, 6, 1)
        KEYS: tuple[str, str] | None = ("image", "label")

        def _info(self) -> Any:
            label = library.features.ClassLabel(names=list(NAMES))
            features = {"image": library.features.Image(shape=self.SHAPE), "label": label}
            return self.dataset_info_from_configs(
                features=library.features.FeaturesDict(features), supervised_keys=self.KEYS
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            return {split: self._generate_examples(split) for split in self.SPLITS}

        def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
            start, count = (0, 40) if split == "train" else (100, 10)
            for index in range(count):
                side = 6 if self.SHAPE[0] else 4 + index % 3
                yield index, {"image": image_of(start + index, side), "label": index % 2}

    class TinySplit(Tiny):
        pass

    class TinyWhole(Tiny):
        SPLITS = ("train",)

    class TinyVarious(Tiny):
        SHAPE = (None, None, 1)

    class TinyText(Tiny):
        KEYS = None

    class TinyRemote(Tiny):
        url_infos = {f"{NOBODY}tiny.zip": None}  # noqa: RUF012 - the library's own name for it


def params(name: str, folder: Path, **settings: Any) -> Ingest:
    return Ingest(source=f"tfds:{name}", tfds_dir=str(folder), **settings)


def read(name: str, folder: Path, **settings: Any) -> dict[str, list[tuple[bytes, int]]]:
    """split -> (pixels, label) of each image."""
    splits: dict[str, list[tuple[bytes, int]]] = {"train": [], "test": []}
    for split, images, labels in tfds.read(params(name, folder, **settings), Path()).blocks:
        splits[split] += [(image.tobytes(), label) for image, label in zip(images, labels.tolist(), strict=True)]
    return splits


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the library stores prepared data sets."""
    return tmp_path_factory.mktemp("tfds")


def test_a_data_set_has_its_class_names_and_splits(folder: Path) -> None:
    """Every image of both splits comes with its label, and labels have the names of the data set's description."""
    source = tfds.read(params("tiny_split", folder), Path())
    assert (source.classes, source.shape, source.images) == (list(NAMES), (6, 6, 1), 50)
    splits = read("tiny_split", folder)
    assert sorted(splits["train"]) == sorted((image_of(i).tobytes(), i % 2) for i in range(40))
    assert sorted(splits["test"]) == sorted((image_of(100 + i).tobytes(), i % 2) for i in range(10))


def test_two_readings_are_equal(folder: Path) -> None:
    """The order is fixed."""
    assert read("tiny_split", folder) == read("tiny_split", folder)


def test_without_a_test_split_the_content_decides(folder: Path) -> None:
    """A data set with only a training split is divided by the hash of each image: the same way every time."""
    splits = read("tiny_whole", folder, test_share=0.3)
    assert 4 <= len(splits["test"]) <= 20
    assert len(splits["train"]) + len(splits["test"]) == 40
    larger = read("tiny_whole", folder, test_share=0.5)
    assert set(splits["test"]) < set(larger["test"])


def test_images_of_different_sizes_are_read_at_one(folder: Path) -> None:
    """The first ones decide, and a note says so; a size that is set wins."""
    source = tfds.read(params("tiny_various", folder), Path())
    assert {images.shape[1:] for _, images, _ in source.blocks} == {source.shape}
    assert source.notes[0].startswith("in a sample, ")
    assert "ingest.image_size sets it" in source.notes[0]
    assert {len(pixels) for pixels, _ in read("tiny_various", folder, image_size=5)["train"]} == {25}


def test_a_data_set_of_another_task_is_refused(folder: Path) -> None:
    """A data set without images and class labels is refused, with one that has them as an example."""
    with pytest.raises(SourceError, match="tfds:tiny_text is not for image classification"):
        tfds.read(params("tiny_text", folder), Path())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fashion_mnits", "has no data set 'fashion_mnits'; did you mean 'tfds:fashion_mnist'"),
        ("mnist:9.9.9", "tfds:mnist:9.9.9 cannot be opened: .*only: 3"),
        ("emnist/lettres", "tfds:emnist/lettres cannot be opened: BuilderConfig lettres not found.*letters"),
    ],
)
def test_an_unknown_name_is_refused_with_a_hint(folder: Path, name: str, expected: str) -> None:
    """A wrong name, version or configuration is answered with what exists."""
    with pytest.raises(SourceError, match=expected):
        tfds.read(params(name, folder), Path())


@pytest.mark.parametrize("name", ["huggingface:x", "kaggle:titanic", "mnist:", "mnist:3", "mnist:latest", "../x"])
def test_what_names_no_data_set_of_the_library_is_refused(name: str) -> None:
    """The library would take the part before a colon for another collection, and import what is not there."""
    with pytest.raises(SourceError, match=f"'tfds:{name}' does not name a data set; expected tfds:NAME"):
        select.kind(f"tfds:{name}")
    assert select.kind("tfds:mnist/all:3.*.*") == "tfds"


def records(prepared: Path) -> Path:
    return next(prepared.glob("*train.tfrecord*"))


def rewritten(name: str, content: str) -> Callable[[Path], object]:
    return lambda prepared: (prepared / name).write_text(content)


def truncated(prepared: Path) -> None:
    records(prepared).write_bytes(records(prepared).read_bytes()[:300])


def gone(prepared: Path) -> None:
    records(prepared).unlink()


def fifo(prepared: Path) -> None:
    path = records(prepared)
    path.unlink()
    os.mkfifo(path)


def undescribed(prepared: Path) -> None:
    (prepared / "dataset_info.json").unlink()


def lying(prepared: Path) -> None:
    path = prepared / "dataset_info.json"
    path.write_text(re.sub(r'"40"', '"40000000"', path.read_text()))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "torn description": rewritten("dataset_info.json", '{"name": "tiny_'),
    "another description": rewritten("dataset_info.json", "[]"),
    "no description": undescribed,
    "lying description": lying,
    "truncated records": truncated,
    "no records": gone,
    "a FIFO for records": fifo,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_named(folder: Path, tmp_path: Path, damage: str) -> None:
    """Whatever is wrong with what the library prepared, one sentence says which folder to remove."""
    read("tiny_split", folder)
    shutil.copytree(folder / "tiny_split", tmp_path / "tiny_split")
    prepared = tmp_path / "tiny_split" / "1.0.0"
    DAMAGE[damage](prepared)
    for attempt in (lambda: read("tiny_split", tmp_path), lambda: mnist_tfds.arrays(prepared, "train", 40)):
        with pytest.raises(SourceError, match=f"{tmp_path}/tiny_split.* remove ") as caught:
            attempt()
        assert "\n" not in str(caught.value)
        assert "function_node" not in str(caught.value)


def test_a_download_that_drips_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library has no time-out at all; a server that sends a byte now and then would be waited for until it ends."""
    import tensorflow_datasets as library
    from tensorflow_datasets.core.download import downloader

    monkeypatch.setattr(network, "SILENCE_SECONDS", 0.3)
    for answer, message in ((dripping, "only .* bytes in"), (huge, "more than the expected 100,000 bytes")):
        with serving(answer) as url, tfds_library.paced_downloads({url: 100_000}):
            manager = library.download.DownloadManager(download_dir=folder / "d", dataset_name="x")
            with pytest.raises(requests.ConnectionError, match=message):
                manager.download(url)
    assert downloader._open_url.__name__ == "_open_url"


def test_no_network_is_an_error_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library alone would try for 200 seconds; the data set's address is tried once before."""
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(SourceUnreachable, match=r"tiny\.zip does not answer \(Connection refused\); set TFDS_DATA_DIR"):
        tfds.read(params("tiny_remote", folder), Path())


def test_a_look_says_whether_a_data_set_can_be_had(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is prepared is there without a network; else its address is tried, and one that is gone is named."""
    import tensorflow_datasets as library

    monkeypatch.setenv("no_proxy", "*")
    remote = library.builder_cls("tiny_remote")
    with pytest.raises(SourceUnreachable, match=r"tiny\.zip does not answer \(Connection refused\)"):
        select.look(params("tiny_remote", folder))
    with serving(absent) as url:
        monkeypatch.setattr(remote, "url_infos", {url: None})
        with pytest.raises(SourceError, match=f"tfds:tiny_remote cannot be downloaded: {url} answers 404; set TFDS"):
            select.look(params("tiny_remote", folder))
    with serving(whole) as url:
        monkeypatch.setattr(remote, "url_infos", {url: None})
        select.look(params("tiny_remote", folder))
    read("tiny_split", folder)
    monkeypatch.setattr(library.builder_cls("tiny_split"), "url_infos", {NOBODY: None}, raising=False)
    select.look(params("tiny_split", folder))


def test_the_fingerprint_names_the_data_set_and_the_library(tmp_path: Path) -> None:
    """Another data set, configuration or version of the library is another source."""
    fingerprints = {
        select.fingerprint(params(name, tmp_path), tmp_path) for name in ("mnist", "emnist/letters", "emnist/mnist")
    }
    assert len(fingerprints) == 3
    assert all("tensorflow-datasets 4" in fingerprint for fingerprint in fingerprints)


def test_prepared_records_are_restored_to_the_order_of_the_files(folder: Path) -> None:
    """The library shuffles by a hash of each example's index; restored, images are in the order of their indices."""
    read("tiny_split", folder)
    prepared = folder / "tiny_split" / "1.0.0"
    for split, start, count in (("train", 0, 40), ("test", 100, 10)):
        images, labels = mnist_tfds.arrays(prepared, split, count)
        assert (images == np.stack([image_of(start + i) for i in range(count)])).all()
        assert labels.tolist() == [i % 2 for i in range(count)]


def test_mnist_is_read_from_the_folder_of_the_library(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the original files, once it is prepared; verified by their sha256, as files are."""
    read("tiny_split", folder)
    shutil.copytree(folder / "tiny_split", tmp_path / "mnist")
    splits = {"train": (0, 40), "test": (100, 10)}
    images = {name: np.stack([image_of(start + i) for i in range(n)]) for name, (start, n) in splits.items()}
    labels = {name: np.arange(n, dtype=np.uint8) % 2 for name, (_, n) in splits.items()}
    hashed: dict[str, str] = {}
    for name, (_, n) in splits.items():
        hashed[f"{name}-images"] = sha256(struct.pack(">4I", 0x803, n, 6, 6) + images[name].tobytes()).hexdigest()
        hashed[f"{name}-labels"] = sha256(struct.pack(">2I", 0x801, n) + labels[name].tobytes()).hexdigest()
    monkeypatch.setattr(mnist, "SHAPES", {name: (n, 6, 6) for name, (_, n) in splits.items()})
    monkeypatch.setattr(mnist, "SHA256", hashed)
    chosen = Ingest(source="mnist", tfds_dir=str(tmp_path))
    for name, some_images, some_labels in mnist.read(chosen, tmp_path).blocks:
        assert (some_images == images[name]).all()
        assert (some_labels == labels[name]).all()
    hashed["test-labels"] = hashed["train-labels"]
    with pytest.raises(DataRejected, match=f"test in {tmp_path}/mnist/1.0.0 is not MNIST's"):
        list(mnist.read(chosen, tmp_path).blocks)


def test_a_prepared_mnist_is_found(tmp_path: Path) -> None:
    """The latest version that holds records, or nothing where there is none."""
    chosen = Ingest(source="mnist", tfds_dir=str(tmp_path))
    assert mnist_tfds.prepared_folder(chosen) is None
    for version in ("3.0.1", "3.0.10", "3.1.0"):
        prepared = tmp_path / "mnist" / version
        prepared.mkdir(parents=True)
        (prepared / "dataset_info.json").touch()
        if version != "3.1.0":
            (prepared / "mnist-train.tfrecord-00000-of-00001").touch()
    assert mnist_tfds.prepared_folder(chosen) == tmp_path / "mnist" / "3.0.10"


@pytest.mark.parametrize("settings", [{}, {"image_size": 5}, {"image_size": 5, "test_share": 0.03}])
@pytest.mark.parametrize("name", ["tiny_split", "tiny_whole", "tiny_various"])
def test_labels_are_corrected_and_images_are_dropped(
    folder: Path, tmp_path: Path, name: str, settings: dict[str, Any]
) -> None:
    """Images have the identity that they have in the data set, whatever they are resized to and wherever they move."""
    chosen = params(name, folder, **settings)
    check_corrections(f"tfds:{name}", tmp_path, tfds_dir=str(folder), **settings)
    images = [image_of(i, side)[None] for i in (*range(40), *range(100, 110)) for side in (4, 5, 6)]
    known = dict(zip((pixel_ids(image)[0] for image in images), images, strict=True))
    for split in ("train", "test"):
        written = Split(tmp_path / "after" / split)
        for identity, pixels in zip(image_ids(tmp_path / "after", split), written.images(), strict=True):
            assert (resized(known[identity], written.shape, Resizing.of(chosen))[0] == pixels).all()
