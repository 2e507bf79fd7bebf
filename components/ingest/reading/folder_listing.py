"""The images below a folder, by split and class, from names alone or by a table of labels: no image is opened.

The layouts of class folders are those of layout.py, those of a table those of labelled_folder.py.
"""

import stat
import unicodedata
from pathlib import Path

from components.data.pictures.picture_files import EXPECTED, SUFFIXES
from components.errors import DataRejected
from components.ingest.reading import layout
from components.ingest.reading.folder_entries import Entry, entries, inside, no_class, status
from components.ingest.reading.image_source import require_two_classes
from components.ingest.reading.labelled_folder import add_labelled, find_table
from components.ingest.reading.listing import Listing, in_order
from components.settings.sections import Ingest

DEFAULTS = Ingest()
LAYOUTS = "FOLDER/CLASS/*.png, FOLDER/{train,test}/CLASS/*.png or images with a labels.csv"


def list_images(root: Path, params: Ingest = DEFAULTS, where: str = "") -> Listing:
    """Every image below *root* by its class; raises DataRejected where there are no classes to train on."""
    listing = Listing(root, where)
    if table := find_table(listing, params):
        add_labelled(listing, table, params)
    else:
        for split, folders in layout.class_folders(listing).items():
            for folder in folders:
                _add_class(listing, split, folder)
    listing.sort()
    require_two_classes(listing.classes, f"{listing.where}, expected to hold {LAYOUTS},")
    _require_same_classes(listing)
    return listing


def _add_class(listing: Listing, split: str, folder: Entry) -> None:
    """Add the images of one class folder."""
    name = unicodedata.normalize("NFC", folder.name)  # macOS and Linux may encode the same letters differently
    if not name.isprintable():
        raise DataRejected(f"the class folder {folder.path!a} has a name that cannot be printed; rename it")
    before, others, base = len(listing), list[str](), inside(listing, folder)
    for entry in entries(listing, folder):
        path = f"{base}/{entry.name}"
        file_status = status(entry) if entry.name.lower().endswith(SUFFIXES) else None
        if file_status is None or not stat.S_ISREG(file_status.st_mode):
            others.append(path if file_status is None else f"{path} ({_kind(file_status.st_mode)})")
        else:
            listing.add(path, split, name, file_status)
    if len(listing) > before:
        listing.others += others
    elif reason := no_class(folder):
        listing.left_out[base] = reason
    else:
        raise DataRejected(f"the class folder {folder.path} holds no image; expected {EXPECTED}")


def _kind(mode: int) -> str:
    """What has the name of an image and is none."""
    return "a folder" if stat.S_ISDIR(mode) else "a FIFO, socket or device"


def _require_same_classes(listing: Listing) -> None:
    """Raise DataRejected where folders for training and test have different classes; validation may lack some."""
    names: dict[str, set[str]] = {}
    for split, name in listing.kinds:
        names.setdefault(split, set()).add(name)
    for split in listing.folders.keys() - {"validation"}:
        if missing := sorted(set(listing.classes) - names[split], key=in_order):
            raise DataRejected(
                f"{listing.folders[split]} has no class folder '{missing[0]}'; expected it in train and test"
            )
