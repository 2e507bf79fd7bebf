"""The image files of a source, by split and class: what every layout of folders and every table of labels comes to."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from components.data.pictures.picture_files import too_large
from components.ingest.reading.unusable_files import UnusableFile

SPLITS = ("train", "validation", "test")


class ImageFile(NamedTuple):
    """Its path below the folder, its split ("" where the source has no splits), its class and its status."""

    path: str
    split: str
    name: str
    status: os.stat_result


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
    images: list[ImageFile] = field(default_factory=list)
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

    def add(self, path: str, split: str, name: str, status: os.stat_result) -> None:
        """Add the image at *path* below the root; one that is too large is unusable."""
        if reason := too_large(status.st_size):
            self.unusable.append(UnusableFile(split, path, name, reason))
        else:
            self.images.append(ImageFile(path, split, name, status))

    @property
    def files(self) -> list[ImageFile | UnusableFile]:
        """All that are called like images, whether they can be used or not."""
        return [*self.images, *self.unusable]

    def __len__(self) -> int:
        return len(self.images) + len(self.unusable)

    def sort(self) -> None:
        """Settle the order of the classes, and of the images by split, class and path."""
        self.classes = sorted({image.name for image in self.files}, key=in_order)
        number_of = {name: number for number, name in enumerate(self.classes)}
        self.images.sort(key=lambda image: (position(image.split), number_of[image.name], image.path))


def in_order(name: str) -> tuple[bool, int, str]:
    """Sort key: numbers by value and before words: 2, 10, cat."""
    return not name.isdecimal(), int(name) if name.isdecimal() else 0, name


def position(split: str) -> int:
    return SPLITS.index(split) if split else 0
