"""The images of an earlier artifact of ingest, by the sha256 of their files: what need not be decoded again.

They are a hint. Which of them are taken changes the time that ingest takes and never its bytes, so they are no part of
its key. The caller has verified the artifact, and that the same code and settings made it.
"""

from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.data.pictures.decode_workers import Result
from components.data.pictures.resizing import Shape
from components.data.splits import Images, Split
from components.ingest.reading.content_hashes import DIGITS, ContentHashes, is_hash
from components.ingest.reading.source_files import read_hashes, read_paths, read_splits

UNKNOWN = -1
AT_ONCE = 4096  # hashes
WORDS = 4  # of 64 bits, that a sha256 has

Hashes = NDArray[np.uint64]  # (n, WORDS)
Places = NDArray[np.int64]


class EarlierImages:
    """The images of *artifact*; the place of one is its index in all splits, one after another.

    *hashes* are those of the files as they are now, where they are known without reading.
    """

    def __init__(self, artifact: Path, hashes: ContentHashes) -> None:
        self.name = f"{artifact.parent.name}/{artifact.name}"
        self._hashes = hashes
        self._splits = [Split(artifact / split) for split in read_splits(artifact / "files.json")]
        self._starts = np.cumsum([0, *map(len, self._splits)])
        self.shape: Shape = self._splits[0].shape
        known = _in_order(artifact, int(self._starts[-1]))
        self._order = np.argsort(known[:, 0], kind="stable")
        self._sorted = known[self._order]

    def places(self, part: range) -> tuple[Places, list[int]]:
        """The place of each image with an index in *part*, and the indices of those that the artifact does not hold."""
        hashes = [self._hashes.at(index) for index in part]
        known = np.array([is_hash(sha256) for sha256 in hashes], np.bool_)
        wanted = _parsed("".join(sha256 if is_hash(sha256) else "0" * DIGITS for sha256 in hashes))
        rows = np.minimum(np.searchsorted(self._sorted[:, 0], wanted[:, 0]), len(self._sorted) - 1)
        same = known & (self._sorted[rows] == wanted).all(1)
        return np.where(same, self._order[rows], UNKNOWN), (np.flatnonzero(~same) + part.start).tolist()

    def completed(self, part: range, places: Places, decoded: Result) -> Result:
        """What decoding all of *part* gives, where *decoded* is that of the images whose place is UNKNOWN."""
        problems, hashes = [""] * len(part), [self._hashes.at(index) for index in part]
        fresh = places == UNKNOWN
        for i, problem, sha256 in zip(np.flatnonzero(fresh), decoded.problems, decoded.sha256, strict=True):
            problems[i], hashes[i] = problem, sha256
        usable = np.array([not problem for problem in problems], np.bool_)
        pixels = np.empty((len(part), *self.shape), np.uint8)
        pixels[fresh & usable] = np.frombuffer(decoded.pixels, np.uint8).reshape(-1, *self.shape)
        pixels[~fresh] = self._take(places[~fresh])
        return Result(problems=problems, sha256=hashes, brightest=decoded.brightest, pixels=pixels[usable].tobytes())

    def _take(self, places: Places) -> Images:
        images = np.empty((len(places), *self.shape), np.uint8)
        for split, start, end in zip(self._splits, self._starts, self._starts[1:], strict=False):
            here = (start <= places) & (places < end)
            images[here] = split.take(places[here] - start)
        return images


def _in_order(artifact: Path, images: int) -> Hashes:
    """The hash of each image of *artifact*, zeros where it is unknown: where the paths of two have the same `hash`.

    A million paths are compared by their 64 bits of `hash`, which take a tenth of their memory.
    """
    listed = np.fromiter((hash(path) for path in read_paths(artifact / "files.json")), np.int64)
    hashed = np.fromiter((hash(path) for path, _ in read_hashes(artifact / "sha256.json")), np.int64)
    places, rows = np.argsort(listed, kind="stable"), np.argsort(hashed, kind="stable")
    hashes = np.zeros((images, WORDS), np.uint64)
    if len(listed) != images or not np.array_equal(listed[places], hashed[rows]):
        return hashes
    place_of = np.empty(images, np.int64)
    place_of[rows] = places
    lines, start = (sha256 for _, sha256 in read_hashes(artifact / "sha256.json")), 0
    while some := list(islice(lines, AT_ONCE)):
        hashes[place_of[start : start + len(some)]] = _parsed("".join(some))
        start += len(some)
    ordered = listed[places]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    hashes[places[same]] = hashes[places[same + 1]] = 0
    return hashes


def _parsed(digits: str) -> Hashes:
    return np.frombuffer(bytes.fromhex(digits), ">u8").reshape(-1, WORDS).astype(np.uint64)
