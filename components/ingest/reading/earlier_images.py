"""The images of an earlier artifact of ingest, by the sha256 of their files: what need not be decoded again.

They are a hint. Which of them are taken changes the time that ingest takes and never its bytes, so they are no part of
its key. The caller has verified the artifact, and that the same code and settings made it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.data.pictures.decode_workers import Result
from components.data.pictures.resizing import Shape
from components.data.splits import Images, Split
from components.ingest.reading.listing import ImageFile

UNKNOWN = -1
WORDS = 4  # of 64 bits, that a sha256 has
DIGITS = 64

Hashes = NDArray[np.uint64]  # (n, WORDS)
Places = NDArray[np.int64]


class Batch(NamedTuple):
    """Some images of a listing, and the place of each in the earlier artifact, UNKNOWN for those to decode."""

    images: Sequence[ImageFile]
    places: Places

    @property
    def decoded(self) -> list[ImageFile]:
        return [image for image, place in zip(self.images, self.places, strict=True) if place == UNKNOWN]


class EarlierImages:
    """The images of *artifact*; the place of one is its index in all splits, one after another.

    *hashes* are the sha256 of the files as they are now, by path, where they are known without reading.
    """

    def __init__(self, artifact: Path, hashes: Mapping[str, str]) -> None:
        files: dict[str, list[str]] = json.loads((artifact / "files.json").read_bytes())
        self.name = f"{artifact.parent.name}/{artifact.name}"
        self._hashes = hashes
        self._splits = [Split(artifact / split) for split in files]
        self._starts = np.cumsum([0, *map(len, self._splits)])
        self.shape: Shape = self._splits[0].shape
        known = _in_order([path for paths in files.values() for path in paths], artifact / "sha256.json")
        self._order = np.argsort(known[:, 0], kind="stable")
        self._sorted = known[self._order]

    def batch(self, images: Sequence[ImageFile]) -> Batch:
        """*images* with the place of each that the artifact holds."""
        hashes = [self._hashes.get(image.path, "") for image in images]
        known = np.array([len(sha256) == DIGITS for sha256 in hashes], np.bool_)
        wanted = _parsed("".join(sha256 if len(sha256) == DIGITS else "0" * DIGITS for sha256 in hashes))
        found = np.minimum(np.searchsorted(self._sorted[:, 0], wanted[:, 0]), len(self._sorted) - 1)
        same = known & (self._sorted[found] == wanted).all(1)
        return Batch(images, np.where(same, self._order[found], UNKNOWN))

    def completed(self, batch: Batch, decoded: Result) -> Result:
        """What decoding all of *batch* gives, where *decoded* is that of those it holds to decode."""
        problems, hashes = [""] * len(batch.images), [self._hashes.get(image.path, "") for image in batch.images]
        fresh = batch.places == UNKNOWN
        for i, problem, sha256 in zip(np.flatnonzero(fresh), decoded.problems, decoded.sha256, strict=True):
            problems[i], hashes[i] = problem, sha256
        usable = np.array([not problem for problem in problems], np.bool_)
        pixels = np.empty((len(problems), *self.shape), np.uint8)
        pixels[fresh & usable] = np.frombuffer(decoded.pixels, np.uint8).reshape(-1, *self.shape)
        pixels[~fresh] = self._take(batch.places[~fresh])
        return Result(problems=problems, sha256=hashes, brightest=decoded.brightest, pixels=pixels[usable].tobytes())

    def _take(self, places: Places) -> Images:
        images = np.empty((len(places), *self.shape), np.uint8)
        for split, start, end in zip(self._splits, self._starts, self._starts[1:], strict=False):
            here = (start <= places) & (places < end)
            images[here] = split.take(places[here] - start)
        return images


def _in_order(paths: Sequence[str], file: Path) -> Hashes:
    """The hash of each of *paths*, from *file*, which has a line for each path, in the order of their names."""
    with file.open("rb") as lines:
        digits = b"".join(line.rstrip(b",\n")[-DIGITS - 1 : -1] for line in lines if line.startswith(b"  "))
    hashes = np.empty((len(paths), WORDS), np.uint64)
    hashes[sorted(range(len(paths)), key=paths.__getitem__)] = _parsed(digits.decode())
    return hashes


def _parsed(digits: str) -> Hashes:
    return np.frombuffer(bytes.fromhex(digits), ">u8").reshape(-1, WORDS).astype(np.uint64)
