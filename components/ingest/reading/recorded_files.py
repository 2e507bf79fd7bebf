"""The image files that an artifact of ingest names, as arrays: of a million files nothing is kept that is a string.

A path is known by its `hash`, 64 bits that differ from process to process.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.ingest.reading.source_files import hash_lines, path_lines

UNKNOWN = -1
AT_ONCE = 2**16  # paths
WORDS = 4  # of 64 bits, that a sha256 has

Hashes = NDArray[np.uint64]  # (n, WORDS)
Places = NDArray[np.int64]


class RecordedFiles(NamedTuple):
    """In the order of the paths: the `hash` of each, its sha256, and its place among the images.

    A place is an index in all splits, one after another; it is UNKNOWN where several paths have the same `hash`.
    """

    paths: NDArray[np.int64]
    sha256: Hashes
    places: Places


def recorded_files(artifact: Path) -> RecordedFiles:
    """The files that *artifact* names; raises OSError and ValueError where they cannot be read."""
    listed = _joined((_path_hashes(lines) for lines in path_lines(artifact / "files.json")), np.int64)
    paths, sha256 = np.empty(len(listed), np.int64), np.empty((len(listed), WORDS), np.uint64)
    done = 0
    for names, digits in hash_lines(artifact / "sha256.json"):
        part = slice(done, done + len(names))
        paths[part], sha256[part] = _path_hashes(names), words(bytes.fromhex(digits.decode()))
        done += len(names)
    if done != len(listed):
        raise ValueError(f"{artifact} has the hashes of {done} files; expected {len(listed)}")
    return RecordedFiles(paths, sha256, _places(listed, paths))


def words(digests: bytes) -> Hashes:
    """Those of the hashes whose bytes follow each other."""
    return np.frombuffer(digests, ">u8").reshape(-1, WORDS).astype(np.uint64)


def _joined(parts: Iterator[NDArray[np.int64]], kind: type[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, kind), *parts])


def _path_hashes(paths: Iterable[bytes]) -> NDArray[np.int64]:
    return np.fromiter(map(hash, paths), np.int64)


def _places(listed: NDArray[np.int64], paths: NDArray[np.int64]) -> Places:
    """The index of each of *paths* in *listed*, UNKNOWN where it is there twice or not at all."""
    order = np.argsort(listed, kind="stable")
    ordered, places = listed[order], np.empty(len(paths), np.int64)
    for start in range(0, len(paths), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        first, last = (np.searchsorted(ordered, paths[part], side) for side in ("left", "right"))
        places[part] = np.where(last - first == 1, order[np.minimum(first, len(order) - 1)], UNKNOWN)
    return places
