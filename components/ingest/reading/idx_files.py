"""The four IDX files of a folder: (train|t10k|test)-(images-idx3|labels-idx1)-ubyte, gzip or raw, prefixed or not."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from components.data.pictures.idx_format import IdxFile
from components.data.pictures.read_errors import read_errors
from components.errors import DataRejected, SourceError

if TYPE_CHECKING:
    from components.ingest.reading.image_source import Block

NAME = re.compile(r"(?:.+[-_])?(?P<split>train|t10k|test)-(?P<kind>images|labels)[-.]idx[13]-ubyte(?:\.gz)?")
ROLES = ("train-images", "train-labels", "test-images", "test-labels")


def find(folder: Path) -> dict[str, Path]:
    """The IDX files in *folder* by role ("train-images"); a raw file is preferred to its gzip. Some may be missing.

    Raises SourceError where two different files could have one role, or one of them is no file.
    """
    files: dict[str, Path] = {}
    with read_errors(folder):
        paths = sorted(folder.iterdir())  # NAME sorts before NAME.gz
    for path in paths:
        if not (match := NAME.fullmatch(path.name)):
            continue
        role = f"{'train' if match['split'] == 'train' else 'test'}-{match['kind']}"
        if role in files and not path.name.startswith(files[role].name):
            raise SourceError(f"{folder} has both {files[role].name} and {path.name}; expected one file for {role}")
        if not path.is_file():
            raise SourceError(f"{path} is not a regular file, or a link to nothing; remove it")
        files.setdefault(role, path)
    return files


def usual_name(role: str) -> str:
    """The name of MNIST's file for *role*."""
    split, kind = role.split("-")
    return f"{'train' if split == 'train' else 't10k'}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"


def content_sha256(path: Path, role: str) -> str:
    """sha256 of the decompressed bytes of an IDX file for *role*, read no further than its header says."""
    file = IdxFile(path, 3 if role.endswith("images") else 1)
    for _ in file.raw_blocks():
        pass
    return file.sha256()


def open_pair(images: Path, labels: Path) -> tuple[IdxFile, IdxFile]:
    """The images and labels of one split; raises DataRejected where they differ in number."""
    pair = IdxFile(images, 3), IdxFile(labels, 1)
    if pair[0].shape[0] != pair[1].shape[0]:
        raise DataRejected(
            f"{images} holds {pair[0].shape[0]:,} images and {labels} holds {pair[1].shape[0]:,} labels;"
            " expected one label for each image"
        )
    return pair


def pair_blocks(split: str, images: IdxFile, labels: IdxFile) -> "Iterator[Block]":
    """Yield (split, images (n, H, W, 1), labels (n,)) of two files of equal length."""
    import numpy as np

    known = np.concatenate(list(labels.blocks()))
    start = 0
    for block in images.blocks():
        yield split, block[..., None], known[start : start + len(block)].astype(np.int64)
        start += len(block)
