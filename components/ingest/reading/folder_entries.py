"""The entries of a user's folder, without what systems and programs leave behind and what leads out of it."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from components.data.pictures.picture_files import SUFFIXES, ignored_kind
from components.data.pictures.read_errors import read_errors
from components.errors import DataRejected
from components.ingest.reading.listing import Listing

# What pipeline/home.py lays out: each workspace has the first ones.
WORKSPACE = {"artifacts", "runs", "cache", "locks"}
OTHERS = {"airflow", "corrections", "exports", "mlartifacts", "serving", "tensorboard", "tune", "work"}
WORKSPACE_FOLDERS = WORKSPACE | OTHERS

BESIDE = "beside the class folders"  # a kind of what is ignored

Entry = os.DirEntry[str]


def entries(listing: Listing, folder: "str | Path | Entry") -> Iterator[Entry]:
    """The entries of *folder* but hidden ones and system files; what is left out else is added to the listing."""
    with read_errors(folder):
        listing.visit(os.fspath(folder))
    with read_errors(folder), os.scandir(folder) as found:
        for entry in found:
            is_link = entry.is_symlink()
            listing.has_links |= is_link
            if kind := ignored_kind(entry.name):
                listing.ignored[inside(listing, entry)] = kind
                continue
            reason = _no_input(listing, entry) if is_link else ""
            if reason:
                listing.left_out[inside(listing, entry)] = reason
            else:
                yield entry


def inside(listing: Listing, entry: Entry) -> str:
    return Path(entry.path).relative_to(listing.root).as_posix()


def _no_input(listing: Listing, entry: Entry) -> str:
    """Why *entry*, a link, is left out, "" where it is not; raises DataRejected for a link out."""
    if not Path(os.path.realpath(entry.path)).is_relative_to(listing.root):
        raise DataRejected(f"{entry.path} is a link out of {listing.root}; put the file itself there")
    return "" if status(entry) else "a link to nothing"


def is_folder(entry: Entry) -> bool:
    found = status(entry)
    return found is not None and stat.S_ISDIR(found.st_mode)


def is_image(entry: Entry) -> bool:
    """Whether *entry* is called like an image and is no folder."""
    return entry.name.lower().endswith(SUFFIXES) and not is_folder(entry)


def status(entry: Entry) -> os.stat_result | None:
    """The status of what *entry* leads to; None for a link to nothing, or to itself."""
    try:
        return entry.stat()
    except OSError as error:
        if entry.is_symlink() and error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            return None
        with read_errors(entry.path):
            raise


def no_class(folder: Entry) -> str:
    """What a folder without images is, where some program made it; "" where a user may have meant a class."""
    within, beside = _names(Path(folder)), _names(Path(folder).parent)
    if within >= WORKSPACE:
        return "a workspace of the pipeline"
    if beside >= WORKSPACE and folder.name in WORKSPACE_FOLDERS:  # PIPELINE_HOME is the source itself
        return "part of the pipeline's workspace"
    if folder.name in ("mlruns", "mlartifacts"):
        return "a folder of MLflow"
    return "a Python environment" if "pyvenv.cfg" in within else ""


def _names(folder: Path) -> set[str]:
    with read_errors(folder):
        return {path.name for path in folder.iterdir()}
