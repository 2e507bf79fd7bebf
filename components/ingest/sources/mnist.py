"""MNIST: 60,000 + 10,000 digits, the same bytes in the same order wherever they come from.

Read from the first of these that has it: the four IDX files in ingest.data_dir; tensorflow-datasets' folder, prepared
or downloaded before; a download. Its decompressed files are verified by their sha256.
"""

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from components.data.pictures.idx_format import IdxFile
from components.errors import DataRejected, SourceError
from components.ingest.reading import idx_files, mnist_download, mnist_tfds
from components.ingest.reading.image_source import ImageSource, combined, is_folder
from components.settings.sections import Ingest

if TYPE_CHECKING:
    from components.ingest.reading.image_source import Block

SOURCE = "mnist"
UNUSED = ("labels", "file_column", "label_column", "split_column", "test_share")
SHA256 = {
    "train-images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "test-images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "test-labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
SHAPES = {"train": (60_000, 28, 28), "test": (10_000, 28, 28)}
SECONDS_TO_ANSWER = 8.0
BLOCK_IMAGES = 4096


def serves(source: str) -> bool:
    return source == SOURCE


def fingerprint(params: Ingest, cache: Path) -> str:
    """Constant: there is one MNIST, and `read` accepts no other. Needs no data."""
    return combined("mnist", SHA256)


def look(params: Ingest, seconds: float = SECONDS_TO_ANSWER) -> None:
    """Return where MNIST is on disk or its address answers within *seconds*; otherwise raise as `read` would."""
    if not (_own_files(params) or mnist_tfds.prepared_folder(params) or mnist_download.kept(mnist_tfds.home(params))):
        mnist_download.probe(mnist_download.address(params), seconds)


def read(params: Ingest, cache: Path) -> ImageSource:
    """Open MNIST; its blocks raise DataRejected at their end where the bytes are not MNIST's."""
    if paths := _own_files(params):
        return _from_files(paths, params.data_dir)
    if folder := mnist_tfds.prepared_folder(params):
        return _from_prepared(folder)
    home = mnist_tfds.home(params)
    if (paths := mnist_download.kept(home)) and mnist_download.intact(paths, _accept):
        return _from_files(paths, f"{home}, downloaded before")
    base = mnist_download.address(params)
    mnist_download.probe(base, SECONDS_TO_ANSWER)
    return _from_files(mnist_download.fetch(base, home, _accept), base)


def _own_files(params: Ingest) -> dict[str, Path]:
    """The four files in ingest.data_dir, none where it is not set; raises SourceError where a file is missing."""
    if not params.data_dir:
        return {}
    folder = Path(params.data_dir)
    exists = is_folder(params.data_dir)
    paths = idx_files.find(folder) if exists else {}
    if missing := [idx_files.usual_name(role) for role in SHA256 if role not in paths]:
        lack = f"has no {missing[0]}" if exists else "does not exist"
        raise SourceError(
            f"{folder}, from MNIST_DIR or ingest.data_dir, {lack}; expected a folder with MNIST's four IDX files,"
            " gzip or raw"
        )
    return paths


def _accept(role: str, path: Path) -> None:
    """Raise DataRejected where *path* is not MNIST's file for *role*."""
    _compare(role, idx_files.content_sha256(path, role), str(path))


def _compare(role: str, sha256: str, origin: str) -> None:
    if sha256 != SHA256[role]:
        raise DataRejected(
            f"{origin} is not MNIST's {idx_files.usual_name(role)}: the sha256 of its decompressed bytes is"
            f" {sha256[:12]}..., expected {SHA256[role][:12]}...; your own IDX files are read with SOURCE=FOLDER"
        )


def _from_files(paths: dict[str, Path], origin: str) -> ImageSource:
    pairs = {split: idx_files.open_pair(paths[f"{split}-images"], paths[f"{split}-labels"]) for split in SHAPES}
    for split, (images, _) in pairs.items():
        if images.shape != SHAPES[split]:
            actual, expected = (" x ".join(map(str, shape)) for shape in (images.shape, SHAPES[split]))
            raise DataRejected(
                f"{images.path} holds {actual} pixels; MNIST's has {expected};"
                " your own IDX files are read with SOURCE=FOLDER"
            )
    return _image_source(_file_blocks(pairs), origin)


def _file_blocks(pairs: dict[str, tuple[IdxFile, IdxFile]]) -> "Iterator[Block]":
    for split, pair in pairs.items():
        yield from idx_files.pair_blocks(split, *pair)
        for role, file in zip((f"{split}-images", f"{split}-labels"), pair, strict=True):
            _compare(role, file.sha256(), str(file.path))


def _from_prepared(folder: Path) -> ImageSource:
    return _image_source(_prepared_blocks(folder), str(folder))


def _prepared_blocks(folder: Path) -> "Iterator[Block]":
    """Both splits from tensorflow-datasets' records, hashed as the IDX files that they were made from."""
    for split in SHAPES:
        images, labels = mnist_tfds.arrays(folder, split, SHAPES[split][0])
        header = struct.pack(">4I", 0x803, *images.shape[:3])
        _compare(f"{split}-images", hashlib.sha256(header + images.tobytes()).hexdigest(), f"{split} in {folder}")
        header = struct.pack(">2I", 0x801, len(labels))
        raw = labels.astype("u1").tobytes()
        _compare(f"{split}-labels", hashlib.sha256(header + raw).hexdigest(), f"{split} in {folder}")
        for start in range(0, len(labels), BLOCK_IMAGES):
            yield split, images[start : start + BLOCK_IMAGES], labels[start : start + BLOCK_IMAGES]


def _image_source(blocks: "Iterator[Block]", origin: str) -> ImageSource:
    return ImageSource(
        classes=[str(digit) for digit in range(10)],
        shape=(28, 28, 1),
        images=sum(shape[0] for shape in SHAPES.values()),
        blocks=blocks,
        fingerprint=lambda: combined("mnist", SHA256),  # `blocks` raises where it is anything else
        origin=origin,
        sha256=dict(SHA256),
    )
