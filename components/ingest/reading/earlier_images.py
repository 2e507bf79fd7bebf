"""The images of an earlier artifact of ingest, by the sha256 of their files: what need not be decoded again.

They are a hint. Which of them are taken changes the time that ingest takes and never its bytes, so they are no part of
its key. The caller has verified the artifact, and that the same code and settings made it.
"""

from pathlib import Path

import numpy as np

from components.data.pictures.decode_workers import Result
from components.data.pictures.resizing import Shape
from components.data.splits import Images, Split
from components.ingest.reading.content_hashes import ContentHashes
from components.ingest.reading.recorded_files import UNKNOWN, Places, recorded_files, words
from components.ingest.reading.source_files import read_splits


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
        known = recorded_files(artifact)
        self._sha256, self._places = known.sha256, known.places
        self._order = np.argsort(known.sha256[:, 0], kind="stable")
        self._first = known.sha256[self._order, 0]  # the words by which a hash is looked up

    def places(self, part: range) -> tuple[Places, list[int]]:
        """The place of each image with an index in *part*, and the indices of those that the artifact does not hold."""
        wanted = words(self._hashes.digests(part))
        rows = self._order[np.minimum(np.searchsorted(self._first, wanted[:, 0]), len(self._first) - 1)]
        places = np.where((self._sha256[rows] == wanted).all(1), self._places[rows], UNKNOWN)
        return places, (np.flatnonzero(places == UNKNOWN) + part.start).tolist()

    def completed(self, part: range, places: Places, decoded: Result) -> Result:
        """What decoding all of *part* gives, where *decoded* is that of the images whose place is UNKNOWN."""
        problems, hashes = [""] * len(part), self._hashes.all_at(part)
        fresh = places == UNKNOWN
        for i, problem, sha256 in zip(np.flatnonzero(fresh), decoded.problems, decoded.sha256, strict=True):
            problems[i], hashes[i] = problem, sha256
        usable = np.array([not problem for problem in problems], np.bool_)
        pixels = np.empty((len(part), *self.shape), np.uint8)
        pixels[fresh & usable] = np.frombuffer(decoded.pixels, np.uint8).reshape(-1, *self.shape)
        pixels[~fresh] = self._take(places[~fresh])
        pixels = pixels if usable.all() else pixels[usable]
        return Result(problems=problems, sha256=hashes, brightest=decoded.brightest, pixels=pixels.data)

    def _take(self, places: Places) -> Images:
        images = np.empty((len(places), *self.shape), np.uint8)
        for split, start, end in zip(self._splits, self._starts, self._starts[1:], strict=False):
            here = (start <= places) & (places < end)
            images[here] = split.take(places[here] - start)
        return images
