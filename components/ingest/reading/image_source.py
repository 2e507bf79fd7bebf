"""What a source gives to ingest, what its module offers, and the rules that several sources follow."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from components.data.pictures.resizing import Shape
from components.errors import DataRejected, SourceError
from components.ingest.reading.content_split import SplitByContent
from components.ingest.reading.unusable_files import UnusableFile
from components.settings.sections import Ingest

if TYPE_CHECKING:
    from components.data.splits import Images, Labels

    Block = tuple[str, Images, Labels]

AT_ONCE = 1000  # files


@dataclass
class ImageSource:
    """An opened source. What is marked * is complete once `blocks` is exhausted.

    classes      names; a label is an index into them
    shape        (H, W, C) of every image, C 1 or 3
    images       their number, both splits together
    blocks       yields (split, images uint8 (n, H, W, C), labels int64 (n,)), split "train", "validation" or "test"
    fingerprint  identifies what was read, in the form of the source's own `fingerprint` *
    sha256       file -> hash of its decompressed bytes, where the source consists of few files *
    files        split -> relative path of each image in order, where every image is a file *
    hashes       path -> sha256 of each of these files *
    ids          split -> identity of each image in order (components.data.image_ids), where `blocks` has resized them *
    origin       where the images come from
    version      of the data set, where it has one
    unusable     files that were left out, as they cannot be read *
    drawn        who drew the test split, where the source has none of its own *
    brightest    the brightest value of each image of 16 bits *
    reuse        takes the folder of an earlier artifact, whose pixels `blocks` then takes instead of decoding them
    notes        what was decided and ignored, a sentence each
    warnings     what was left out and what looks wrong, a sentence each *
    """

    classes: list[str]
    shape: Shape
    images: int
    blocks: "Iterator[Block]"
    fingerprint: Callable[[], str]
    origin: str
    version: str = ""
    sha256: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)
    unusable: list[UnusableFile] = field(default_factory=list)
    drawn: SplitByContent | None = None
    brightest: list[int] = field(default_factory=list)
    reuse: Callable[[Path], None] | None = None
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Preview:
    """What reading a source will give: how many images, by split, of how many classes, and their (H, W, C).

    Where the test split is drawn, its size is an estimate; *validation* is 0 where the source has no such split.
    """

    images: int
    train: int
    validation: int
    test: int
    classes: int
    shape: Shape


class SourceModule(Protocol):
    """What each module in components/ingest/sources offers; none imports anything heavy before it reads.

    One that can say without decoding what it will give also has a function `preview(params, cache) -> Preview | None`;
    one that cannot use some settings of ingest names them in UNUSED, such as ("test_share",).
    """

    SOURCE: str
    """What a user writes: "mnist", "tfds:NAME" or "FOLDER"."""

    def serves(self, source: str) -> bool:
        """Whether it reads the images that the setting ingest.source names."""

    def fingerprint(self, params: Ingest, cache: Path) -> str:
        """What identifies the images, without reading more than necessary; *cache* is a folder for hashes."""

    def read(self, params: Ingest, cache: Path) -> ImageSource:
        """Open the source; *cache* is a folder for what must be downloaded, unpacked or hashed on the way."""


def is_folder(path: str) -> bool:
    """Whether *path* is a folder; raises SourceError where that cannot be known."""
    try:
        return bool(path) and Path(path).is_dir()
    except OSError as error:  # a name that is too long, a closed folder on the way
        raise SourceError(f"{path[:100]} cannot be read: {error.strerror}; expected a folder") from None


def is_file(path: str) -> bool:
    """Whether *path* is a file; raises SourceError where that cannot be known."""
    try:
        return Path(path).is_file()
    except OSError as error:
        raise SourceError(f"{path[:100]} cannot be read: {error.strerror}; expected a file") from None


def combined(name: str, hashes: Mapping[str, str]) -> str:
    """One sha256 over *name* and the sorted (path, hash) pairs; NUL and newline keep them apart."""
    return combined_in_order(name, sorted(hashes.items()))


def combined_in_order(name: str, hashes: Iterable[tuple[str, str]]) -> str:
    """The same of pairs that are sorted already."""
    whole = hashlib.sha256(os.fsencode(name) + b"\n")
    pairs = iter(hashes)
    while some := list(islice(pairs, AT_ONCE)):
        whole.update(os.fsencode("".join([f"{path}\0{sha256}\n" for path, sha256 in some])))
    return f"sha256:{whole.hexdigest()}"


def target_shape(own: Shape, params: Ingest) -> Shape:
    """The (H, W, C) that the settings ask for, where the images' own is *own*."""
    height, width = (params.image_size, params.image_size) if params.image_size else own[:2]
    return height, width, params.channels or own[2]


def require_two_classes(classes: list[str], where: str) -> None:
    """Raise DataRejected where there is nothing to classify."""
    if len(classes) < 2:
        what = f"only one class ('{classes[0]}')" if classes else "no class"
        raise DataRejected(f"{where} has {what}; expected images of two classes or more")
