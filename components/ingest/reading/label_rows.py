"""Which image each row of a table of labels names, and what is wrong with the rows."""

import sys
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from components.data.pictures.picture_files import SUFFIXES
from components.errors import DataRejected
from components.ingest.reading.labels_table import Row
from components.progress import progress

SHOWN = 5
ROWS_BETWEEN_LOOKS = 100_000  # at the clock


def leaves(name: str) -> bool:
    """Whether the path *name* may lead out of the folder."""
    return name.startswith("/") or name[1:2] == ":" or (".." in name and ".." in name.split("/"))


class Files:
    """The images of a folder by the names that a table may give them."""

    def __init__(self, paths: Collection[str]) -> None:
        self._paths = set(paths)
        self._by_stem: dict[str, list[str]] = {}
        for path in paths:
            self._by_stem.setdefault(_stem(PurePosixPath(path).name), []).append(path)

    def named(self, name: str) -> list[str]:
        """The images that *name* may mean: those of its path, otherwise those of its name with another suffix."""
        if name in self._paths:
            return [name]
        base = name.rpartition("/")[2]
        alike = self._by_stem.get(_stem(base))
        if not alike:
            return []
        paths = [path for path in alike if _ends_alike(path, name)]
        exact = [path for path in paths if path.rpartition("/")[2] == base]
        return exact or paths


def _stem(base: str) -> str:
    """*base* in lower case, without the suffix of an image."""
    lower = (base if base.isascii() else unicodedata.normalize("NFC", base)).lower()
    stem, dot, suffix = lower.rpartition(".")
    return stem if dot + suffix in SUFFIXES else lower


def _ends_alike(path: str, name: str) -> bool:
    """Whether the folders of one of the two paths are the last ones of the other: images/1.png, data/images/1.png."""
    one, other = PurePosixPath(path).parts[:-1], PurePosixPath(name).parts[:-1]
    shared = min(len(one), len(other))
    return one[len(one) - shared :] == other[len(other) - shared :]


class Examples:
    """How many there are, and the first of them."""

    def __init__(self) -> None:
        self.count, self.first = 0, list[str]()

    def add(self, example: str) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(example[:100])

    def __str__(self) -> str:
        return ", ".join(self.first) + (", ..." if self.count > len(self.first) else "")


@dataclass
class Faults:
    """What is wrong with the rows of a table; the first four kinds are refused."""

    outside: Examples = field(default_factory=Examples)
    contradicting: Examples = field(default_factory=Examples)
    ambiguous: Examples = field(default_factory=Examples)
    unlabelled: Examples = field(default_factory=Examples)
    missing: Examples = field(default_factory=Examples)
    repeated: Examples = field(default_factory=Examples)
    torn: Examples = field(default_factory=Examples)  # repeated with another split

    def require_none(self, table: Path) -> None:
        """Raise DataRejected with every kind of fault that leaves the class of an image open."""
        kinds = {
            "rows that lead out of the folder": self.outside,
            "rows that give a file another class than an earlier one": self.contradicting,
            "rows that name more than one file": self.ambiguous,
            "rows without a label": self.unlabelled,
        }
        if texts := _counted(kinds):
            raise DataRejected(f"{table}: {'; '.join(texts)}. Correct or remove them")

    def why_none(self) -> str:
        """Why no row names an image, as far as the rows say."""
        if not self.missing.count:
            return "it has no rows"
        return f"its first row names {self.missing.first[0]!r}; set ingest.file_column to the column of the file names"

    def warnings(self, table: Path, unlabelled: Sequence[str]) -> list[str]:
        """What was left out: rows without their file, files without their row, and repeated rows."""
        spare = Examples()
        for path in unlabelled:
            spare.add(path)
        kinds = {
            "rows without their file, left out": self.missing,
            "images without a row, left out": spare,
            "rows that repeat an earlier one": self.repeated,
        }
        return [f"{table.name}: {text}" for text in _counted(kinds)]


def _counted(kinds: Mapping[str, Examples]) -> list[str]:
    return [f"{what}: {examples.count:,} ({examples})" for what, examples in kinds.items() if examples.count]


def matched(rows: Iterable[Row], paths: Collection[str], table: Path) -> tuple[dict[str, Row], Faults]:
    """What the *rows* of *table* say of each of *paths* that they name, and what is wrong with them."""
    files, known, faults = Files(paths), dict[str, Row](), Faults()
    with progress(f"ingest: rows of {table.name}") as advance:
        for number, row in enumerate(rows, 1):
            if number % ROWS_BETWEEN_LOOKS == 0:
                advance(number)
            _match(row, files, known, faults)
    return known, faults


def _match(row: Row, files: Files, known: dict[str, Row], faults: Faults) -> None:
    name = row.file.strip().replace("\\", "/")
    if leaves(name):
        faults.outside.add(name)
        return
    paths = files.named(name)
    if not paths:
        faults.missing.add(name)
    elif len(paths) > 1:
        faults.ambiguous.add(f"{name} ({paths[0]}, {paths[1]})")
    else:
        label = unicodedata.normalize("NFC", row.label.strip())
        _assign(Row(paths[0], sys.intern(label), sys.intern(row.split.strip())), known, faults)


def _assign(row: Row, known: dict[str, Row], faults: Faults) -> None:
    if not row.label:
        faults.unlabelled.add(row.file)
        return
    earlier = known.setdefault(row.file, row)
    if earlier is row:
        return
    if earlier.label != row.label:
        faults.contradicting.add(f"{row.file} ({earlier.label}, {row.label})")
        return
    faults.repeated.add(row.file)
    if earlier.split.lower() != row.split.lower():
        faults.torn.add(f"{row.file} ({earlier.split}, {row.split})")
