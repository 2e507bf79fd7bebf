"""A folder with four IDX files: (train|t10k|test)-(images-idx3|labels-idx1)-ubyte, gzip or raw, prefixed or not."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import DataRejected, SourceError
from components.ingest.sources.base import Contents, combined
from components.ingest.sources.file_hashes import file_hashes
from components.ingest.sources.idx_format import IdxFile, open_pair, pair_blocks
from components.settings.sections import Ingest

if TYPE_CHECKING:
    from components.ingest.sources.base import Block

NAME = re.compile(r"(?:.+[-_])?(?P<split>train|t10k|test)-(?P<kind>images|labels)[-.]idx[13]-ubyte(?:\.gz)?")
ROLES = ("train-images", "train-labels", "test-images", "test-labels")


def find(folder: Path) -> dict[str, Path]:
    """The IDX files in *folder* by role ("train-images"); a raw file goes before its gzip. Some may be missing.

    Raises SourceError where two different files could play one role.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):  # NAME sorts before NAME.gz
        if not (match := NAME.fullmatch(path.name)):
            continue
        role = f"{'train' if match['split'] == 'train' else 'test'}-{match['kind']}"
        if role in found and not path.name.startswith(found[role].name):
            raise SourceError(f"{folder} has both {found[role].name} and {path.name}; expected one file for {role}")
        found.setdefault(role, path)
    return found


def _files(params: Ingest) -> dict[str, Path]:
    folder = Path(params.source).resolve()
    found = find(folder)
    if missing := [role for role in ROLES if role not in found]:
        raise SourceError(f"{folder} has IDX files but no {usual(missing[0])}; expected four, gzip or raw")
    for path in found.values():
        if not path.resolve().is_relative_to(folder):
            raise DataRejected(f"{path} is a link out of {folder}; put the file itself there")
    return found


def usual(role: str) -> str:
    """The name that MNIST's file of that role goes by."""
    split, kind = role.split("-")
    return f"{'train' if split == 'train' else 't10k'}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"


def fingerprint(params: Ingest, cache: Path) -> str:
    """The hash of the decompressed files and of the folder's name."""
    files = _files(params)
    folder = Path(params.source).resolve()
    roles = {path.name: role for role, path in files.items()}

    def by_name(path: Path) -> str:
        return content(path, roles[path.name])

    hashes = file_hashes(folder, {path.name: path.stat() for path in files.values()}, cache, by_name)
    return combined(folder.name, {roles[name]: digest for name, digest in hashes.items()})


def content(path: Path, role: str) -> str:
    """sha256 of the decompressed bytes of an IDX file for *role*, in blocks and no further than its header says."""
    file = IdxFile(path, 3 if role.endswith("images") else 1)
    for _ in file.raw_blocks():
        pass
    return file.sha256()


def read(params: Ingest) -> Contents:
    """Open the four files; the classes are the labels that occur, in numeric order."""
    paths = _files(params)
    pairs = {s: open_pair(paths[f"{s}-images"], paths[f"{s}-labels"]) for s in ("train", "test")}
    (train, _), (test, _) = pairs["train"], pairs["test"]
    if train.shape[1:] != test.shape[1:]:
        sizes = [" x ".join(map(str, file.shape[1:])) for file in (train, test)]
        raise DataRejected(f"{train.path} holds images of {sizes[0]} and {test.path} of {sizes[1]}; expected one size")
    labels = _labels(paths)
    sha256: dict[str, str] = {}
    return Contents(
        classes=[str(label) for label in labels],
        shape=(train.shape[1], train.shape[2], 1),
        images=train.shape[0] + test.shape[0],
        blocks=_blocks(pairs, labels, sha256),
        fingerprint=lambda: combined(Path(params.source).resolve().name, sha256),
        sha256=sha256,
        facts={"from": str(Path(params.source).resolve())},
    )


def _labels(paths: dict[str, Path]) -> list[int]:
    """The labels that occur in either split."""
    import numpy as np

    seen = np.zeros(256, bool)
    for role in ("train-labels", "test-labels"):
        for block in IdxFile(paths[role], 1).blocks():
            seen[block] = True
    return [int(label) for label in np.flatnonzero(seen)]


def _blocks(pairs: dict[str, tuple[IdxFile, IdxFile]], labels: list[int], sha256: dict[str, str]) -> "Iterator[Block]":
    """Both splits in blocks, with each label as its place among *labels*; fills *sha256* by role."""
    import numpy as np

    place = np.zeros(256, np.int64)
    place[labels] = np.arange(len(labels))
    for split, pair in pairs.items():
        for _, images, raw in pair_blocks(split, *pair):
            yield split, images, place[raw]
        sha256[f"{split}-images"], sha256[f"{split}-labels"] = (file.sha256() for file in pair)
