"""A folder with four IDX files (components/ingest/reading/idx_files.py says which)."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from components.data.pictures.idx_format import IdxFile
from components.data.pictures.read_errors import read_errors
from components.errors import DataRejected, SourceError
from components.ingest.reading.file_hashes import file_hashes
from components.ingest.reading.idx_files import ROLES, content_sha256, find, open_pair, pair_blocks, usual_name
from components.ingest.reading.image_source import ImageSource, combined, is_folder
from components.ingest.reading.naming import source_name
from components.settings.sections import Ingest

if TYPE_CHECKING:
    from components.ingest.reading.image_source import Block

SOURCE = "FOLDER"
UNUSED = ("labels", "file_column", "label_column", "split_column", "test_share")


def serves(source: str) -> bool:
    """Whether *source* is a folder with IDX files."""
    return is_folder(source) and bool(find(Path(source)))


def fingerprint(params: Ingest, cache: Path) -> str:
    """The hash of the decompressed files and of the folder's name."""
    files = _files(params)
    folder = Path(params.source).resolve()
    roles = {path.name: role for role, path in files.items()}

    def sha256(path: Path) -> str:
        return content_sha256(path, roles[path.name])

    with read_errors(folder):
        statuses = {path.name: path.stat() for path in files.values()}
    hashes = file_hashes(folder, statuses, cache, sha256)
    return combined(source_name(folder), {roles[name]: digest for name, digest in hashes.items()})


def read(params: Ingest, cache: Path) -> ImageSource:
    """Open the four files; the classes are the labels that occur, in numeric order."""
    paths = _files(params)
    pairs = {s: open_pair(paths[f"{s}-images"], paths[f"{s}-labels"]) for s in ("train", "test")}
    (train, _), (test, _) = pairs["train"], pairs["test"]
    if train.shape[1:] != test.shape[1:]:
        sizes = [" x ".join(map(str, file.shape[1:])) for file in (train, test)]
        raise DataRejected(f"{train.path} holds images of {sizes[0]} and {test.path} of {sizes[1]}; expected one size")
    labels = _labels(paths)
    sha256: dict[str, str] = {}
    folder = Path(params.source).resolve()
    return ImageSource(
        classes=[str(label) for label in labels],
        shape=(train.shape[1], train.shape[2], 1),
        images=train.shape[0] + test.shape[0],
        blocks=_blocks(pairs, labels, sha256),
        fingerprint=lambda: combined(source_name(folder), sha256),
        origin=str(folder),
        sha256=sha256,
    )


def _files(params: Ingest) -> dict[str, Path]:
    """The four files by role; raises SourceError where one is missing, DataRejected for a link out of the folder."""
    folder = Path(params.source).resolve()
    files = find(folder)
    if missing := [role for role in ROLES if role not in files]:
        raise SourceError(f"{folder} has IDX files but no {usual_name(missing[0])}; expected four, gzip or raw")
    for path in files.values():
        if not path.resolve().is_relative_to(folder):
            raise DataRejected(f"{path} is a link out of {folder}; put the file itself there")
    return files


def _labels(paths: dict[str, Path]) -> list[int]:
    """The labels that occur in either split."""
    import numpy as np

    seen = np.zeros(256, bool)
    for role in ("train-labels", "test-labels"):
        for block in IdxFile(paths[role], 1).blocks():
            seen[block] = True
    return [int(label) for label in np.flatnonzero(seen)]


def _blocks(pairs: dict[str, tuple[IdxFile, IdxFile]], labels: list[int], sha256: dict[str, str]) -> "Iterator[Block]":
    """Both splits in blocks, each label as its index in *labels*; fills *sha256* by role."""
    import numpy as np

    index_of = np.zeros(256, np.int64)
    index_of[labels] = np.arange(len(labels))
    for split, pair in pairs.items():
        for _, images, raw in pair_blocks(split, *pair):
            yield split, images, index_of[raw]
        sha256[f"{split}-images"], sha256[f"{split}-labels"] = (file.sha256() for file in pair)
