"""How folders are laid out: which is the training split, which the test split, and where the classes begin.

FOLDER/CLASS/*.png                                       no splits
FOLDER/train/CLASS/*.png   FOLDER/test/CLASS/*.png       also training and testing, in any case of letters
FOLDER/train/...           FOLDER/val/...                val, valid and validation are the test split without a test,
FOLDER/train/...  val/...  test/...                      and the validation split beside one

Folders that hold nothing but one more folder may be around all of it (Dataset/Dataset/CLASS) and around the classes of
a split (train/train/CLASS). A folder is a split only where it holds folders: a class may be called train.
"""

import re
from collections.abc import Sequence

from components.errors import DataRejected
from components.ingest.reading.folder_entries import BESIDE, Entry, entries, inside, is_folder, is_image, no_class
from components.ingest.reading.listing import Listing

WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
MEANING = {"train": "training", "validation": "validation", "test": "test"}
DEEPEST = 8  # folders in each other


def top_folders(listing: Listing) -> list[Entry]:
    """The folders of splits, or of classes, without those around them."""
    return _unwrapped(listing, str(listing.root))


def class_folders(listing: Listing) -> dict[str, list[Entry]]:
    """Split -> its class folders; {"": [...]} where the classes are right below. Adds a note on what was understood."""
    top = top_folders(listing)
    splits = _splits(listing, top)
    if not splits:
        if top and (around := _around(listing, top[0])):
            listing.notes.append(f"the class folders are in {around}/")
        return {"": top}
    others = [folder for folder in top if folder not in splits.values()]
    listing.left_out |= {inside(listing, folder): "beside the splits" for folder in others if not no_class(folder)}
    listing.folders = {split: folder.path for split, folder in splits.items()}
    described = [f"{inside(listing, folder)}/ is the {MEANING[split]} split" for split, folder in splits.items()]
    listing.notes.append(", ".join(described))
    return {split: _unwrapped(listing, folder.path, split) for split, folder in splits.items()}


def _around(listing: Listing, folder: Entry) -> str:
    return inside(listing, folder).rpartition("/")[0]


def _unwrapped(listing: Listing, folder: str, split: str = "") -> list[Entry]:
    """The folders in *folder*; where it holds a single one, with nothing but folders in it, those in that one.

    Unless *folder* belongs to a split, a single folder called train is half of a pair.
    """
    inner = _folders(listing, folder)
    for _ in range(DEEPEST):
        if len(inner) != 1 or not _holds_folders_alone(listing, inner[0]):
            break
        if not split and split_word(inner[0].name):
            break
        inner = _folders(listing, inner[0].path)
    return inner


def _folders(listing: Listing, folder: str) -> list[Entry]:
    found = list(entries(listing, folder))
    folders = [entry for entry in found if is_folder(entry)]
    listing.ignored |= {inside(listing, entry): BESIDE for entry in found if entry not in folders}
    return folders


def _holds_folders_alone(listing: Listing, folder: Entry) -> bool:
    """Whether *folder* holds folders and no image, and no program made it."""
    found = list(entries(listing, folder))
    return any(map(is_folder, found)) and not any(map(is_image, found)) and not no_class(folder)


def _splits(listing: Listing, top: Sequence[Entry]) -> dict[str, Entry]:
    """Split -> its folder among *top*, {} where there is none; raises DataRejected for half of a pair."""
    by_word: dict[str, list[Entry]] = {}
    for folder in top:
        if (word := split_word(folder.name)) and any(map(is_folder, entries(listing, folder))):
            by_word.setdefault(WORDS[word], []).append(folder)
    if not by_word:
        return {}
    for split, folders in by_word.items():
        if len(folders) > 1:
            names = " and ".join(sorted(folder.name for folder in folders))
            raise DataRejected(
                f"{listing.where} has two {MEANING[split]} splits, {names}; expected one: remove the other"
            )
    splits = {split: folders[0] for split, folders in by_word.items()}
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
    _require_pair(listing, splits)
    return {split: splits[split] for split in MEANING if split in splits}


def split_word(name: str) -> str:
    """The one word in *name*, such as seg_train or Training_Set, that means a split; "" where there is none or two."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word in WORDS]
    return words[0] if len(words) == 1 else ""


def _require_pair(listing: Listing, splits: dict[str, Entry]) -> None:
    missing = [split for split in ("train", "test") if split not in splits]
    if missing:
        (there,) = (folder for split, folder in splits.items() if split in ("train", "test"))
        path = f"{listing.where}/{inside(listing, there)}"
        raise DataRejected(
            f"{listing.where} has a folder {there.name} but no folder {missing[0]} with classes in it; expected both, "
            f"or --source {path} to draw the test split from it"
        )
