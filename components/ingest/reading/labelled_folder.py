"""A folder of images whose classes are in a table: images/ with labels.csv or labels.parquet beside it or in it.

    FOLDER/                      FOLDER/
      labels.csv                   train.csv       file,label: 0001,cat
      images/0001.png ...          train/0001.jpg ...

A row names its file by a path below the folder, or below the one of the images, or by the name alone, with or without
its suffix, and may say its split (table_splits.py). Rows are read once and never kept: what is kept grows with the
images.
"""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from components.data.pictures.picture_files import SUFFIXES as IMAGE_SUFFIXES
from components.data.pictures.read_errors import read_errors
from components.errors import DataRejected, SourceError
from components.ingest.reading.folder_entries import BESIDE, Entry, entries, inside, is_folder, is_image, status
from components.ingest.reading.label_rows import matched
from components.ingest.reading.labels_table import SUFFIXES, find_columns, rows
from components.ingest.reading.layout import split_word, top_folders
from components.ingest.reading.listing import Listing
from components.ingest.reading.naming import is_generic
from components.ingest.reading.table_splits import described, splits
from components.settings.sections import Ingest

UNKNOWN = 100.0
USUAL_NAMES = ("labels", "label", "annotations", "metadata", "train", "groundtruth", "data")  # the likeliest first


def find_table(listing: Listing, params: Ingest) -> Path | None:
    """The table of labels of a folder, None where its folders are the classes.

    Raises SourceError where ingest.labels names no table.
    """
    root = listing.root
    if params.labels:
        chosen = root / params.labels
        if not chosen.is_file() or chosen.suffix.lower() not in SUFFIXES:
            expected = f"a {', '.join(SUFFIXES)} file in {root}, such as labels.csv"
            raise SourceError(f"ingest.labels is {params.labels!r}; expected {expected}")
        return chosen
    folders = top_folders(listing)
    inner = folders if len(folders) == 1 else [folder for folder in folders if is_generic(folder.name)]
    places = [*_around(root, folders), *(Path(folder.path) for folder in inner)]
    for place in places:
        with read_errors(place):
            listing.visit(place)
    table = next(filter(None, map(_usual_table, places)), None)
    if table is None or not _are_classes(listing, folders):
        return table
    name = table.relative_to(root)
    listing.notes.append(f"{name} is not read, as the folders are the classes; read it with --set ingest.labels={name}")
    return None


def _around(root: Path, folders: Sequence[Entry]) -> list[Path]:
    """*root* and the folders from there to *folders*: an archive often holds one folder around all."""
    parents = Path(folders[0].path).relative_to(root).parents if folders else [Path()]
    return [root / parent for parent in reversed(parents)]


def _are_classes(listing: Listing, folders: Sequence[Entry]) -> bool:
    """Whether *folders* are splits of classes, or two of them hold images and are not just called train or images."""
    if any(split_word(folder.name) and any(map(is_folder, entries(listing, folder))) for folder in folders):
        return True
    named = [folder for folder in folders if not is_generic(folder.name)]
    return sum(any(map(is_image, entries(listing, folder))) for folder in named) > 1


def _usual_table(folder: Path) -> Path | None:
    """The table in *folder* that is most likely one of labels."""
    with read_errors(folder):
        tables = [
            path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        ]
    ranked = sorted((_rank(path), path) for path in tables if path.is_file())
    return ranked[0][1] if ranked and (ranked[0][0] < UNKNOWN or len(ranked) == 1) else None


def _rank(table: Path) -> float:
    """The place of the name in USUAL_NAMES; a half more for one of another split than training."""
    words = re.split(r"[^a-z]+", table.stem.lower())
    place = min((USUAL_NAMES.index(word) for word in words if word in USUAL_NAMES), default=UNKNOWN)
    return place + 0.5 * any(word in ("test", "val", "valid", "validation", "sample") for word in words)


def image_files(listing: Listing) -> dict[str, os.stat_result]:
    """Path below the root -> status of each image of the folder, at whatever depth; other files are counted."""
    found, pending = dict[str, os.stat_result](), [str(listing.root)]
    while pending:
        for entry in entries(listing, pending.pop()):
            what = status(entry)
            if what and stat.S_ISDIR(what.st_mode):
                pending += [entry.path] if not entry.is_symlink() else []
            elif what and stat.S_ISREG(what.st_mode) and entry.name.lower().endswith(IMAGE_SUFFIXES):
                found[inside(listing, entry)] = what
            else:
                listing.ignored[inside(listing, entry)] = BESIDE
    return dict(sorted(found.items()))


def add_labelled(listing: Listing, table: Path, params: Ingest) -> None:
    """Add the images that *table* labels; raises DataRejected for rows that contradict each other or lead elsewhere."""
    statuses = image_files(listing)
    listing.ignored.pop(table.relative_to(listing.root).as_posix() if table.is_relative_to(listing.root) else "", None)
    columns = find_columns(table, params)
    known, faults = matched(rows(table, columns), statuses, table)
    faults.require_none(table)
    if not known:
        none = f"{table} names none of the {len(statuses):,} images in {listing.where}"
        raise DataRejected(f"{none}: {faults.why_none()}")
    split_of = splits(known, faults, columns, table)
    for path, row in known.items():
        if not row.label.isprintable():
            raise DataRejected(f"{table}: the class {row.label!a} has a name that cannot be printed; rename it")
        listing.add(path, split_of.get(path, ""), row.label, statuses[path])
    listing.notes.append(f"the classes are those of {table.name}: {described(split_of, columns, known)}")
    listing.warnings += faults.warnings(table, [path for path in statuses if path not in known])
