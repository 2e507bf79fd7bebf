"""The images of a run as ingest wrote them: label, file, identity and pixels of each."""

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.data.corrections import image_ids
from components.data.pixels import hashes
from components.data.problems import ImageAt
from components.data.splits import Images, Split


class Place(NamedTuple):
    """An image by its split and its position there, as ingest wrote it."""

    split: str
    position: int

    def __str__(self) -> str:
        return f"{self.split} image {self.position}"


class IngestedImages:
    """*ingest* and *normalize* are the folders of the artifacts of one run. One thread at a time."""

    def __init__(self, ingest: Path, normalize: Path, classes: Sequence[str]) -> None:
        self._ingest, self._normalize, self._classes = ingest, normalize, classes
        self._splits = dict[str, Split]()
        self._identities = dict[str, list[str]]()

    def split(self, name: str) -> Split:
        if name not in self._splits:
            self._splits[name] = Split(self._ingest / name)
        return self._splits[name]

    def label(self, place: Place) -> str:
        return self._classes[int(self.split(place.split).labels[place.position])]

    def identity(self, place: Place) -> str:
        """By which corrections name the image."""
        if place.split not in self._identities:
            self._identities[place.split] = image_ids(self._ingest, place.split)
        return self._identities[place.split][place.position]

    def file(self, place: Place) -> str:
        """Its path below the folder of images, "" where it has none."""
        return self._files[place.split][place.position] if self._files else ""

    def pixels(self, place: Place) -> Images:
        """uint8 (H, W, C), as the network takes it."""
        image: Images = self.split(place.split).take(np.array([place.position], np.int64))[0]
        return image

    @cached_property
    def _files(self) -> dict[str, list[str]]:
        file = self._ingest / "files.json"
        files: dict[str, list[str]] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        return files

    def places(self, normalized: Iterable[ImageAt]) -> dict[ImageAt, Place]:
        """Where ingest wrote *normalized* images, which evaluate names by their place in normalize's splits.

        Test images keep their place. The others are found by their file, or else by their pixels and label: of copies
        the first, as evaluate does.
        """
        wanted: dict[str, list[ImageAt]] = {}
        for image in normalized:
            wanted.setdefault(image.split, []).append(image)
        found: dict[ImageAt, Place] = {}
        for split, images in wanted.items():
            if split == "test":
                found |= {image: Place(split, image.position) for image in images}
            elif self._files:
                found |= self._by_file(self._origin(split), images)
            else:
                found |= self._by_pixels(split, images)
        return found

    def _origin(self, split: str) -> str:
        """The split of ingest that *split* of normalize was drawn from."""
        return split if (self._ingest / split).is_dir() else "train"

    def _by_file(self, origin: str, images: list[ImageAt]) -> dict[ImageAt, Place]:
        indices = {file: index for index, file in enumerate(self._files[origin])}
        return {image: Place(origin, indices[image.file]) for image in images if image.file in indices}

    def _by_pixels(self, split: str, images: list[ImageAt]) -> dict[ImageAt, Place]:
        origin, source = self._origin(split), Split(self._normalize / split)
        indices = np.array([image.position for image in images], np.int64)
        wanted = _keys(source.take(indices), source.labels[indices]).tolist()
        blocks = self.split(origin).blocks(label="review: looking for the images of the queue")
        keys = np.concatenate([np.empty(0, np.uint64), *(_keys(pixels, labels) for pixels, labels in blocks)])
        matches = np.flatnonzero(np.isin(keys, np.array(wanted, np.uint64)))[::-1].tolist()  # the first is last
        first = {int(keys[index]): index for index in matches}
        return {image: Place(origin, first[key]) for image, key in zip(images, wanted, strict=True) if key in first}


def _keys(images: Images, labels: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Equal for equal images with equal labels."""
    keys: NDArray[np.uint64] = hashes(images) + labels.astype(np.uint64)
    return keys
