"""The files of the images that normalize wrote, for sources that are folders of files.

Test images keep their order. Images of training and validation were drawn from one split, so they are found there by
the hash of their pixels and their label; of copies, the first file is meant.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.data.pixels import hashes
from components.data.problems import ImageAt, ImageFiles
from components.data.splits import Images, Split

Indices = NDArray[np.int64]


class NormalizedFiles:
    """*ingest* is the artifact that *normalize* was made from; None where nobody knows it."""

    def __init__(self, ingest: Path | None, normalize: Path) -> None:
        self._files = ImageFiles.of(ingest) if ingest else ImageFiles({})
        self._ingest, self._normalize = ingest, normalize

    def __bool__(self) -> bool:
        return bool(self._files)

    def of(self, split: str, indices: Indices) -> list[ImageAt]:
        """The images at *indices* of *split*, with their files."""
        if not self._files or not self._ingest or not len(indices):
            return [ImageAt(split, index, "") for index in indices.tolist()]
        if split == "test":
            return [ImageAt(split, i, self._files.at(split, i).file) for i in indices.tolist()]
        images, files = Split(self._normalize / split), dict[int, str]()
        wanted = _keys(images.take(indices), images.labels[indices])
        for part in ("validation", "train"):  # in this order: the copy in training counts
            if (self._ingest / part).is_dir():
                files |= self._matching(part, wanted)
        pairs = zip(indices.tolist(), wanted.tolist(), strict=True)
        return [ImageAt(split, index, files.get(key, "")) for index, key in pairs]

    def _matching(self, split: str, wanted: NDArray[np.uint64]) -> dict[int, str]:
        """Key -> file of the first image of *split* of ingest that has one of the *wanted* keys."""
        blocks = Split(self._ingest / split).blocks() if self._ingest else ()
        keys = np.concatenate([np.empty(0, np.uint64), *(_keys(images, labels) for images, labels in blocks)])
        places = np.flatnonzero(np.isin(keys, wanted))[::-1]
        return {int(keys[index]): self._files.at(split, index).file for index in places.tolist()}


def _keys(images: Images, labels: Indices) -> NDArray[np.uint64]:
    """Equal for equal images with equal labels: one image in two class folders is two files."""
    keys: NDArray[np.uint64] = hashes(images) + labels.astype(np.uint64)
    return keys
