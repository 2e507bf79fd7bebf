"""The image files of a source, by split and class: what every layout of folders and every table of labels comes to."""

import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, overload

from components.data.pictures.picture_files import too_large
from components.ingest.reading.unusable_files import UnusableFile
from components.system.stat_table import FIELDS, StatedFiles, Status

SPLITS = ("train", "validation", "test")


class ImageFile(NamedTuple):
    """Its path below the folder, its split ("" where the source has no splits), its class and its status."""

    path: str
    split: str
    name: str
    status: Status


class ImageFiles(Sequence[ImageFile]):
    """Image files in order, of a million of them 120 MB: each ImageFile is made where it is used."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.kinds: list[tuple[str, str]] = []  # the splits and classes that there are
        self._number: dict[tuple[str, str], int] = {}  # of each of these
        self._kinds, self._statuses = array("I"), array("q")
        self._by_path: array[int] | None = None  # once it is known

    def add(self, path: str, split: str, name: str, status: "os.stat_result | Status") -> None:
        kind = split, name
        if kind not in self._number:
            self._number[kind] = len(self.kinds)
            self.kinds.append(kind)
        self.paths.append(path)
        self._kinds.append(self._number[kind])
        self._statuses.extend((status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))
        self._by_path = None

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> ImageFile: ...

    @overload
    def __getitem__(self, index: slice) -> list[ImageFile]: ...

    def __getitem__(self, index: int | slice) -> ImageFile | list[ImageFile]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return ImageFile(self.paths[index], *self.kinds[self._kinds[index]], self.status(index))

    def status(self, index: int) -> Status:
        return Status(*self._statuses[4 * index : 4 * index + 4])

    def split(self, index: int) -> str:
        return self.kinds[self._kinds[index]][0]

    def name(self, index: int) -> str:
        return self.kinds[self._kinds[index]][1]

    def items(self) -> Iterator[tuple[str, Status]]:
        """The path and status of each, in order."""
        return ((path, self.status(index)) for index, path in enumerate(self.paths))

    def sort(self, rank: Mapping[tuple[str, str], tuple[int, int]]) -> None:
        """Sort by the *rank* of split and class, then by path."""
        of_rank: dict[tuple[int, int], list[int]] = {}
        for index, kind in enumerate(self._kinds):
            of_rank.setdefault(rank[self.kinds[kind]], []).append(index)
        order = array("I")
        for number in sorted(of_rank):
            order.extend(sorted(of_rank.pop(number), key=self.paths.__getitem__))
        self.paths = [self.paths[index] for index in order]
        self._kinds = array("I", (self._kinds[index] for index in order))
        self._statuses = self._statuses_of(order)
        self._by_path = None

    def by_path(self) -> "array[int]":
        """The indices in the order of the paths."""
        if self._by_path is None:
            self._by_path = array("I", sorted(range(len(self)), key=self.paths.__getitem__))
        return self._by_path

    def in_path_order(self) -> StatedFiles:
        """The paths and statuses in the order of the paths."""
        order = self.by_path()
        if order == array("I", range(len(self))):
            return StatedFiles(self.paths, self._statuses)
        return StatedFiles([self.paths[index] for index in order], self._statuses_of(order))

    def _statuses_of(self, order: "array[int]") -> "array[int]":
        """The statuses in this *order* of the indices."""
        statuses = array("q")
        for index in order:
            statuses.extend(self._statuses[FIELDS * index : FIELDS * (index + 1)])
        return statuses


@dataclass
class Listing:
    """The images sorted by split, class and name; the classes in order.

    root      where the files lie
    where     what messages call it: the folder itself, or the archive or bucket that the files come from
    folders   split -> its folder, where folders are the splits
    unusable  files that need not be opened to be refused
    others    other files in class folders
    left_out  what is no class or image, and why: path below the root -> "a link to nothing"
    ignored   what nobody expects to be read: path below the root -> "hidden"
    notes     how the folder was understood, a sentence each
    warnings  what looks wrong with a table of labels, a sentence each
    folders_read  path below the root -> status, before it was listed, of each folder whose entries decided anything
    has_links     whether one of the entries is a link
    """

    root: Path
    where: str = ""
    classes: list[str] = field(default_factory=list)
    images: ImageFiles = field(default_factory=ImageFiles)
    folders: dict[str, str] = field(default_factory=dict)
    unusable: list[UnusableFile] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    folders_read: dict[str, os.stat_result] = field(default_factory=dict)
    has_links: bool = False

    def __post_init__(self) -> None:
        self.where = self.where or str(self.root)

    def visit(self, folder: str | Path) -> None:
        """To be called before *folder* is listed."""
        path = os.path.relpath(folder, self.root)
        if path not in self.folders_read:
            self.folders_read[path] = os.stat(folder)  # noqa: PTH116 - a link to a folder, too

    def add(self, path: str, split: str, name: str, status: "os.stat_result | Status") -> None:
        """Add the image at *path* below the root; one that is too large is unusable."""
        if reason := too_large(status.st_size):
            self.unusable.append(UnusableFile(split, path, name, reason))
        else:
            self.images.add(path, split, name, status)

    @property
    def kinds(self) -> set[tuple[str, str]]:
        """The split and class of all that are called like images, whether they can be used or not."""
        return {*self.images.kinds, *((file.split, file.name) for file in self.unusable)}

    @cached_property
    def number(self) -> dict[str, int]:
        """class -> its label, once the classes are settled."""
        return {name: number for number, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.images) + len(self.unusable)

    def sort(self) -> None:
        """Settle the order of the classes, and of the images by split, class and path."""
        self.classes = sorted({name for _, name in self.kinds}, key=in_order)
        self.images.sort({(split, name): (position(split), self.number[name]) for split, name in self.images.kinds})


def in_order(name: str) -> tuple[bool, int, str]:
    """Sort key: numbers by value and before words: 2, 10, cat."""
    return not name.isdecimal(), int(name) if name.isdecimal() else 0, name


def position(split: str) -> int:
    return SPLITS.index(split) if split else 0
