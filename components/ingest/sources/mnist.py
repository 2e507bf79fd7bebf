"""MNIST: 60,000 + 10,000 digits, the same bytes in the same order whatever way they came.

Taken from the first that has it: the four IDX files in ingest.data_dir; tensorflow-datasets' folder, prepared there or
downloaded before; a download. It is known by the sha256 of its decompressed files.
"""

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import DataRejected, SourceError
from components.ingest.sources import idx, mnist_download, mnist_tfds
from components.ingest.sources.base import Contents, combined
from components.ingest.sources.idx_format import IdxFile, open_pair, pair_blocks
from components.settings.sections import Ingest

if TYPE_CHECKING:
    from components.ingest.sources.base import Block

SHA256 = {
    "train-images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "test-images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "test-labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
SHAPES = {"train": (60_000, 28, 28), "test": (10_000, 28, 28)}
SECONDS_TO_ANSWER = 8.0
TOGETHER = 4096


def fingerprint(params: Ingest, cache: Path) -> str:
    """Constant: there is one MNIST, and `read` accepts no other. The data need not be there to tell it."""
    return combined("mnist", SHA256)


def look(params: Ingest, seconds: float = SECONDS_TO_ANSWER) -> None:
    """Return where MNIST is at hand or an address for it answers within *seconds*; else raise as `read` would."""
    if not (_own(params) or mnist_tfds.folder(params) or mnist_download.kept(mnist_tfds.home(params))):
        mnist_download.probe(mnist_download.address(params), seconds)


def read(params: Ingest) -> Contents:
    """Open MNIST; whoever reads the blocks to the end gets DataRejected where it is not the known one."""
    if paths := _own(params):
        return _from_files(paths, params.data_dir)
    if place := mnist_tfds.folder(params):
        return _from_prepared(place)
    home = mnist_tfds.home(params)
    if paths := mnist_download.kept(home):
        return _from_files(paths, f"{home}, downloaded before")
    base = mnist_download.address(params)
    mnist_download.probe(base, SECONDS_TO_ANSWER)
    return _from_files(mnist_download.fetch(base, home, _accept), base)


def _own(params: Ingest) -> dict[str, Path]:
    """The four files in ingest.data_dir, nothing where it is not set; raises SourceError where a file is missing."""
    if not params.data_dir:
        return {}
    folder = Path(params.data_dir)
    paths = idx.find(folder) if folder.is_dir() else {}
    if missing := [idx.usual(role) for role in SHA256 if role not in paths]:
        lack = f"has no {missing[0]}" if folder.is_dir() else "is not there"
        raise SourceError(
            f"{folder}, from MNIST_DIR or ingest.data_dir, {lack}; expected a folder with MNIST's four IDX files,"
            " gzip or raw"
        )
    return paths


def _accept(role: str, path: Path) -> None:
    """Raise DataRejected where *path* is not MNIST's file for *role*."""
    _compare(role, idx.content(path, role), str(path))


def _compare(role: str, sha256: str, origin: str) -> None:
    if sha256 != SHA256[role]:
        raise DataRejected(
            f"{origin} is not MNIST's {idx.usual(role)}: the sha256 of its decompressed bytes is {sha256[:12]}...,"
            f" expected {SHA256[role][:12]}...; IDX files of your own are read with SOURCE=FOLDER"
        )


def _from_files(paths: dict[str, Path], origin: str) -> Contents:
    pairs = {split: open_pair(paths[f"{split}-images"], paths[f"{split}-labels"]) for split in SHAPES}
    for split, (images, _) in pairs.items():
        if images.shape != SHAPES[split]:
            found, expected = (" x ".join(map(str, shape)) for shape in (images.shape, SHAPES[split]))
            raise DataRejected(
                f"{images.path} holds {found} pixels; MNIST's has {expected};"
                " IDX files of your own are read with SOURCE=FOLDER"
            )
    return _contents(_file_blocks(pairs), origin)


def _file_blocks(pairs: dict[str, tuple[IdxFile, IdxFile]]) -> "Iterator[Block]":
    for split, pair in pairs.items():
        yield from pair_blocks(split, *pair)
        for role, file in zip((f"{split}-images", f"{split}-labels"), pair, strict=True):
            _compare(role, file.sha256(), str(file.path))


def _from_prepared(place: Path) -> Contents:
    return _contents(_prepared_blocks(place), str(place))


def _prepared_blocks(place: Path) -> "Iterator[Block]":
    """Both splits out of tensorflow-datasets' records, hashed as the IDX files that they were made of."""
    for split in SHAPES:
        images, labels = mnist_tfds.arrays(place, split)
        header = struct.pack(">4I", 0x803, *images.shape[:3])
        _compare(f"{split}-images", hashlib.sha256(header + images.tobytes()).hexdigest(), f"{split} in {place}")
        header = struct.pack(">2I", 0x801, len(labels))
        raw = labels.astype("u1").tobytes()
        _compare(f"{split}-labels", hashlib.sha256(header + raw).hexdigest(), f"{split} in {place}")
        for start in range(0, len(labels), TOGETHER):
            yield split, images[start : start + TOGETHER], labels[start : start + TOGETHER]


def _contents(blocks: "Iterator[Block]", origin: str) -> Contents:
    return Contents(
        classes=[str(digit) for digit in range(10)],
        shape=(28, 28, 1),
        images=sum(shape[0] for shape in SHAPES.values()),
        blocks=blocks,
        fingerprint=lambda: combined("mnist", SHA256),  # `blocks` raised where it was anything else
        sha256=dict(SHA256),
        facts={"from": origin},
    )
