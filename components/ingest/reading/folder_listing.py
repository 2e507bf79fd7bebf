"""The images below a folder, by split and class, from names alone: no file is opened.

FOLDER/train/CLASS/*.png  FOLDER/test/CLASS/*.jpg      or      FOLDER/CLASS/*.png
"""

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from components.errors import DataRejected
from components.ingest.reading.image_source import require_two_classes
from components.ingest.reading.read_errors import read_errors

SUFFIXES = (".png", ".jpg", ".jpeg")
# What systems leave behind in any folder, in lower case; hidden names (.DS_Store, ._x, .Trash-1000) are left out too.
SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"}
SYSTEM_FOLDERS = {
    *("lost+found", "system volume information", "$recycle.bin", "found.000", "__macosx", "__pycache__"),
    *("network trash folder", "temporary items", "~snapshot"),  # Apple's file sharing, NetApp
    *("@eadir", "#recycle", "#snapshot", "@tmp", "@recycle", "@recently-snapshot"),  # Synology, QNAP
}
# What pipeline/home.py lays out: each workspace has the first ones.
WORKSPACE = {"artifacts", "runs", "cache", "locks"}
WORKSPACE_FOLDERS = {*WORKSPACE, "mlartifacts", "tensorboard", "tune", "work", "airflow"}
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
    """The images sorted by split, class and name; the classes in order; other files in class folders.

    *left_out* are folders that are no classes, and why: path below the root -> "a folder of the system".
    """

    root: Path
    classes: list[str] = field(default_factory=list)
    images: list[ImageFile] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def list_images(root: Path) -> Listing:
    """Every image below *root*; raises DataRejected where its folders are not classes to train on."""
    listing = Listing(root)
    top = {entry.name: entry for entry in _entries(listing, root) if _is_folder(entry)}
    for split, entry in _splits(listing, top).items():
        for folder in _entries(listing, Path(entry)) if split else top.values():
            if _is_folder(folder):
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


def _splits(listing: Listing, top: "dict[str, os.DirEntry[str]]") -> "dict[str, str]":
    """split -> its folder; {"": root} where the classes are right below. A class may also be called train."""
    root = listing.root
    split = [name for name in ("train", "test") if name in top and any(map(_is_folder, _entries(listing, top[name])))]
    if len(split) == 1:
        other = "test" if split == ["train"] else "train"
        raise DataRejected(f"{root} has a folder {split[0]} but no folder {other} with classes in it; expected both")
    return {name: top[name].path for name in split} or {"": str(root)}


def _class(listing: Listing, split: str, folder: "os.DirEntry[str]") -> None:
    """Add the images of one class folder."""
    name = unicodedata.normalize("NFC", folder.name)  # macOS and Linux may encode the same letters differently
    if not name.isprintable():
        raise DataRejected(f"the class folder {folder.path!a} has a name that cannot be printed; rename it")
    before, inside = len(listing.images), _inside(listing, folder)
    others = list[str]()
    for entry in _entries(listing, Path(folder)):
        path = f"{inside}/{entry.name}"
        status = _status(entry) if entry.name.lower().endswith(SUFFIXES) else None
        if status is None or not stat.S_ISREG(status.st_mode):
            others.append(path if status is None else f"{path} ({_kind(status)})")
        elif status.st_size > MAX_BYTES:
            raise DataRejected(
                f"{entry.path} has {status.st_size:,} bytes; expected at most {MAX_BYTES:,}: scale it down or remove it"
            )
        else:
            listing.images.append(ImageFile(path, split, name, status))
    if len(listing.images) > before:
        listing.others += others
    elif reason := _no_class(listing, folder):
        listing.left_out[inside] = reason
    else:
        raise DataRejected(f"the class folder {folder.path} holds no image; expected .png, .jpg or .jpeg files")


def _kind(status: os.stat_result) -> str:
    """What has the name of an image and is none."""
    return "a folder" if stat.S_ISDIR(status.st_mode) else "a FIFO, socket or device"


def _no_class(listing: Listing, folder: "os.DirEntry[str]") -> str:
    """What a folder without images is, where some program made it; "" where a user may have meant a class."""
    inside, beside = _names(Path(folder)), _names(Path(folder).parent)
    if inside >= WORKSPACE:
        return "a workspace of the pipeline"
    if beside >= WORKSPACE and folder.name in WORKSPACE_FOLDERS:  # PIPELINE_HOME is the source itself
        return "part of the pipeline's workspace"
    if folder.name in ("mlruns", "mlartifacts"):
        return "a folder of MLflow"
    return "a Python environment" if "pyvenv.cfg" in inside else ""


def _names(folder: Path) -> set[str]:
    with read_errors(folder):
        return {path.name for path in folder.iterdir()}


def _entries(listing: Listing, folder: "Path | os.DirEntry[str]") -> "Iterator[os.DirEntry[str]]":
    """The entries of *folder* but hidden ones and system files; what is left out else is added to the listing."""
    with read_errors(folder), os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name.lower()
            if name.startswith(".") or name in SYSTEM_FILES:
                continue
            special = name in SYSTEM_FOLDERS or entry.is_symlink()
            if special and (reason := _no_input(listing.root, entry)):
                listing.left_out[_inside(listing, entry)] = reason
            else:
                yield entry


def _inside(listing: Listing, entry: "os.DirEntry[str]") -> str:
    return Path(entry.path).relative_to(listing.root).as_posix()


def _no_input(root: Path, entry: "os.DirEntry[str]") -> str:
    """Why *entry*, a system folder or a link, is left out, "" where it is not; raises DataRejected for a link out."""
    if entry.name.lower() in SYSTEM_FOLDERS:
        return "a system folder"
    if not Path(os.path.realpath(entry.path)).is_relative_to(root):
        raise DataRejected(f"{entry.path} is a link out of {root}; put the file itself there")
    return "" if _status(entry) else "a link to nothing"


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    status = _status(entry)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _status(entry: "os.DirEntry[str]") -> os.stat_result | None:
    """The status of what *entry* leads to; None for a link to nothing, or to itself."""
    try:
        return entry.stat()
    except OSError as error:
        if entry.is_symlink() and error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            return None
        with read_errors(entry.path):
            raise


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
