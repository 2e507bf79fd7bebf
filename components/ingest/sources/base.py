"""What every kind of source gives to ingest, and the rules that more than one kind follows."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from components.errors import DataRejected
from components.settings.sections import Ingest

if TYPE_CHECKING:
    from components.data.splits import Images, Labels

    Block = tuple[str, Images, Labels]

Shape = tuple[int, int, int]


@dataclass
class Contents:
    """An opened source. What is marked * is complete once `blocks` was read to its end.

    classes      names; a label is an index into them
    shape        (H, W, C) of every image, C 1 or 3
    images       how many there are, both splits together
    blocks       yields (split, images uint8 (n, H, W, C), labels int64 (n,)), split "train" or "test"
    fingerprint  tells what was read, in the words of the source's own `fingerprint` *
    sha256       file -> hash of its decompressed bytes, where the source is few files *
    files        split -> relative path of each image in order, where every image is a file *
    facts        where it came from
    """

    classes: list[str]
    shape: Shape
    images: int
    blocks: "Iterator[Block]"
    fingerprint: Callable[[], str]
    sha256: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def combined(name: str, hashes: Mapping[str, str]) -> str:
    """One sha256 over *name* and the sorted (path, hash) pairs; NUL and newline keep them from running together."""
    whole = hashlib.sha256(os.fsencode(name) + b"\n")
    for path, digest in sorted(hashes.items()):
        whole.update(os.fsencode(path) + b"\0" + digest.encode() + b"\n")
    return f"sha256:{whole.hexdigest()}"


def is_test(digest: str, share: float) -> bool:
    """Whether the image whose content has the sha256 *digest* is for testing; equal images fall to the same split."""
    return int(digest[:13], 16) / 16**13 < share


def wanted(own: Shape, params: Ingest) -> Shape:
    """The (H, W, C) that the settings ask for, where the images' own is *own*."""
    height, width = (params.image_size, params.image_size) if params.image_size else own[:2]
    return height, width, params.channels or own[2]


def two_classes(classes: list[str], where: str) -> None:
    """Raise DataRejected where there is nothing to tell apart."""
    if len(classes) < 2:
        found = f"one class only ('{classes[0]}')" if classes else "no class at all"
        raise DataRejected(f"{where} has {found}; expected images of two classes or more")
