"""The images below a folder, by split and class, from names alone: no file is opened.

FOLDER/train/CLASS/*.png  FOLDER/test/CLASS/*.jpg      or      FOLDER/CLASS/*.png
"""

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from components.errors import DataRejected, SourceError
from components.ingest.reading.image_source import require_two_classes

SUFFIXES = (".png", ".jpg", ".jpeg")
DESKTOP_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx"}
LAYOUTS = "FOLDER/CLASS/*.png or FOLDER/{train,test}/CLASS/*.png"
MAX_BYTES = 512 * 2**20


class ImageFile(NamedTuple):
    """Its path below the folder, its split ("" where the folder has no splits), its class and its status."""

    path: str
    split: str
    name: str
    status: os.stat_result


@dataclass
class Listing:
    """The images sorted by split, class and name; the classes in order; other files in class folders."""

    root: Path
    classes: list[str] = field(default_factory=list)
    images: list[ImageFile] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def list_images(root: Path) -> Listing:
    """Every image below *root*; raises DataRejected where its folders are not classes to train on."""
    listing = Listing(root)
    top = {entry.name: entry for entry in _entries(root, root) if entry.is_dir()}
    for split, entry in _splits(root, top).items():
        for folder in _entries(root, Path(entry)) if split else top.values():
            if folder.is_dir():
                _class(listing, split, folder)
    listing.classes = sorted({image.name for image in listing.images}, key=in_order)
    require_two_classes(listing.classes, f"{root}, expected to hold {LAYOUTS},")
    _same_classes(listing)
    number_of = {name: number for number, name in enumerate(listing.classes)}
    listing.images.sort(key=lambda image: (image.split != "train", number_of[image.name], image.path))
    return listing


def in_order(name: str) -> tuple[bool, int, str]:
    """Sort key: numbers by value and before words: 2, 10, cat."""
    return not name.isdecimal(), int(name) if name.isdecimal() else 0, name


def _splits(root: Path, top: "dict[str, os.DirEntry[str]]") -> "dict[str, str]":
    """split -> its folder; {"": root} where the classes are right below. A class may also be called train."""
    split = [name for name in ("train", "test") if name in top and any(e.is_dir() for e in _entries(root, top[name]))]
    if len(split) == 1:
        other = "test" if split == ["train"] else "train"
        raise DataRejected(f"{root} has a folder {split[0]} but no folder {other} with classes in it; expected both")
    return {name: top[name].path for name in split} or {"": str(root)}


def _class(listing: Listing, split: str, folder: "os.DirEntry[str]") -> None:
    """Add the images of one class folder."""
    name = unicodedata.normalize("NFC", folder.name)  # macOS and Linux may encode the same letters differently
    if not name.isprintable():
        raise DataRejected(f"the class folder {folder.path!a} has a name that cannot be printed; rename it")
    before, inside = len(listing.images), Path(folder.path).relative_to(listing.root).as_posix()
    for entry in _entries(listing.root, Path(folder)):
        path = f"{inside}/{entry.name}"
        if not (entry.name.lower().endswith(SUFFIXES) and entry.is_file()):
            listing.others.append(path)
            continue
        status = entry.stat()
        if status.st_size > MAX_BYTES:
            raise DataRejected(f"{entry.path} has {status.st_size:,} bytes; expected at most {MAX_BYTES:,}")
        listing.images.append(ImageFile(path, split, name, status))
    if len(listing.images) == before:
        raise DataRejected(f"the class folder {folder.path} holds no image; expected .png, .jpg or .jpeg files")


def _entries(root: Path, folder: "Path | os.DirEntry[str]") -> "Iterator[os.DirEntry[str]]":
    """The entries of *folder* but hidden and desktop files; raises DataRejected for a link out of *root*."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.lower() in DESKTOP_FILES:
                    continue
                if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
                    raise DataRejected(f"{entry.path} is a link out of {root}; put the file itself there")
                yield entry
    except OSError as error:
        raise SourceError(f"{error.filename or folder} cannot be read: {error.strerror}") from None


def _same_classes(listing: Listing) -> None:
    """Raise DataRejected where train and test have different classes."""
    by_split = {
        split: {i.name for i in listing.images if i.split == split} for split in {i.split for i in listing.images}
    }
    for split, names in by_split.items():
        if missing := sorted(set(listing.classes) - names, key=in_order):
            raise DataRejected(
                f"{listing.root / split} has no class folder '{missing[0]}'; expected it in train and test"
            )
