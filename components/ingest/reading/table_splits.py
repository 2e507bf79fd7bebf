"""The splits of images whose table of labels has a column for them: train, val and test, as folders would say it."""

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from components.errors import DataRejected
from components.ingest.reading.label_rows import Faults
from components.ingest.reading.labels_table import Columns, Row
from components.ingest.reading.layout import MEANING, WORDS

EXPECTED = "train, val or test"
WITHOUT = "or --set ingest.split_column=none to draw the test split"


def splits(rows: Mapping[str, Row], faults: Faults, columns: Columns, table: Path) -> dict[str, str]:
    """Path -> split of each image of *rows*; {} where the test split is to be drawn, as the table tells none apart.

    A column that only its name makes one of splits is none where no value means a split, as folds 0 to 4. Raises
    DataRejected for other values among splits, and for splits that nothing can be trained or tested on.
    """
    if columns.split is None:
        return {}
    found = {path: WORDS.get(row.split.lower(), "") for path, row in rows.items()}
    if not columns.is_split_set and not any(found.values()):
        return {}
    where = f"{table}: the column {columns.names[columns.split]!r}"
    _require_splits(rows, found, where)
    if faults.torn.count:
        torn = f"{faults.torn.count:,} ({faults.torn})"
        raise DataRejected(f"{where} gives files another split than an earlier row: {torn}. Correct them")
    names = set(found.values())
    if "train" not in names:
        _refuse(where, f"has no training images, only {' and '.join(sorted(MEANING[name] for name in names))}")
    if names == {"train"}:
        return {}
    if "test" not in names:
        found = {path: "test" if split == "validation" else split for path, split in found.items()}
    _require_classes(rows, found, where)
    return found


def _require_splits(rows: Mapping[str, Row], found: Mapping[str, str], where: str) -> None:
    others = [path for path, split in found.items() if not split]
    if others:
        more = f" and {len(others) - 1:,} more" if others[1:] else ""
        _refuse(where, f"says {rows[others[0]].split[:40]!r} of {others[0]}{more}")


def _require_classes(rows: Mapping[str, Row], found: Mapping[str, str], where: str) -> None:
    for split in ("train", "test"):
        there = {row.label for path, row in rows.items() if found[path] == split}
        lacking = sorted({row.label for row in rows.values()} - there)
        if lacking:
            _refuse(where, f"leaves the class {lacking[0]!r} without {MEANING[split]} images")


def _refuse(where: str, what: str) -> NoReturn:
    raise DataRejected(f"{where} {what}; expected {EXPECTED}, with every class in train and test, {WITHOUT}")


def described(found: Mapping[str, str], columns: Columns, rows: Mapping[str, Row]) -> str:
    """Which column says what: "file names in 'file', classes in 'label', splits in 'set' (val is the test split)"."""
    text = f"file names in {columns.names[columns.file]!r}, classes in {columns.names[columns.label]!r}"
    if columns.split is None:
        return text
    name = columns.names[columns.split]
    if not found:
        return f"{text}; {name!r} does not split them into training and test"
    words = {row.split: MEANING[found[path]] for path, row in rows.items()}
    meanings = ", ".join(f"{word} is {meaning}" for word, meaning in sorted(words.items()))
    return f"{text}, splits in {name!r} ({meanings})"
