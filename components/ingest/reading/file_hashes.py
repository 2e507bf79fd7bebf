"""sha256 of files, cached by their `stat`, so that an unchanged folder costs one pass of `stat`.

CACHE/
  hashes-<hash of the folder's path>.table    a StatTable
"""

import hashlib
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from components.data.pictures.read_errors import DENIED, read_errors
from components.errors import StorageFailed
from components.ingest.reading.content_hashes import ContentHashes
from components.ingest.reading.listing import ImageFiles
from components.system.files import sha256_of_file
from components.system.stat_table import StatTable, Status

AT_ONCE = 1_000  # files
LARGE = 2**18  # bytes; threads hash larger files in parallel, for smaller ones they only contend for the GIL


def file_hashes(
    root: Path,
    files: Mapping[str, "os.stat_result | Status"],
    cache: Path,
    sha256: Callable[[Path], str] = sha256_of_file,
) -> dict[str, str]:
    """sha256 of each of *files* (path below *root* -> its status), computed by *sha256* and cached in *cache*."""
    images = ImageFiles()
    for path in sorted(files):
        images.add(path, "", "", files[path])
    return dict(image_hashes(root, images, cache, sha256).pairs())


def image_hashes(
    root: Path, images: ImageFiles, cache: Path, sha256: Callable[[Path], str] = sha256_of_file
) -> ContentHashes:
    """The same of *images*."""
    hashes, table = ContentHashes(images.paths, images.by_path()), StatTable(stat_file(cache, "hashes", root))
    unknown = _set_known(hashes, images, table)
    large = sum(images.status(index).st_size for index in unknown) > LARGE * len(unknown)
    computed = _compute((root / images.paths[index] for index in unknown), sha256, large)
    for index, text in zip(unknown, computed, strict=True):
        hashes.set(index, text)
    if unknown or table.rows != len(images):
        try:
            table.keep(images.in_path_order(), map(hashes.at, images.by_path()))
        except OSError as error:
            message = f"{table.file} cannot be written: {error.strerror}; free space or make it writable"
            raise StorageFailed(message) from None
    return hashes


def set_known_hashes(hashes: ContentHashes, root: Path, images: ImageFiles, cache: Path) -> None:
    """Set those *hashes* that *cache* holds of *images* in their present state: no file is read."""
    _set_known(hashes, images, StatTable(stat_file(cache, "hashes", root)))


def _set_known(hashes: ContentHashes, images: ImageFiles, table: StatTable) -> "array[int]":
    """Set those *hashes* of *images* that are in *table*; returns the indices of the others."""
    order, unknown, done = images.by_path(), array("I"), 0
    known = table.known(images.in_path_order())
    while texts := list(islice(known, AT_ONCE)):
        indices = order[done : done + len(texts)]
        hashes.set_all(indices, texts)
        unknown.extend(index for index, text in zip(indices, texts, strict=True) if text is None)
        done += len(texts)
    return array("I", sorted(unknown))


def sha256_or_denied(file: Path) -> str:
    """The hash of *file*; of one that must not be read, what its decoding says too."""
    try:
        return sha256_of_file(file)
    except PermissionError:
        return DENIED


def stat_file(cache: Path, kind: str, root: Path) -> Path:
    """The file in *cache* that remembers something about the files below *root*."""
    return cache / f"{kind}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.table"


def _compute(paths: Iterable[Path], sha256: Callable[[Path], str], large: bool) -> Iterator[str]:
    if not large:
        yield from (_checked(path, sha256) for path in paths)
        return
    paths = iter(paths)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        while some := list(islice(paths, AT_ONCE)):
            yield from threads.map(lambda path: _checked(path, sha256), some)


def _checked(path: Path, sha256: Callable[[Path], str]) -> str:
    """*sha256* of *path*, whose OSErrors become failures with a message."""
    with read_errors(path):
        return sha256(path)
