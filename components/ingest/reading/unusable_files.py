"""Files that are no images that can be read: all of a folder are collected, listed in one table and refused at once.

CACHE/
  unusable-<hash of the folder's path>.csv    split, file, class, problem, detail, as in validate's problems.csv
"""

import csv
import io
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from components.errors import DataRejected
from components.ingest.reading.file_hashes import stat_file
from components.system.files import write_atomically

COLUMNS = ("split", "file", "class", "problem", "detail")
SHOWN = 5


class UnusableFile(NamedTuple):
    """Its split ("" before one is drawn), its path below the folder, its class, and why it cannot be used."""

    split: str
    path: str
    name: str
    reason: str


def table(cache: Path, root: Path) -> Path:
    """Where the files of the folder *root* that the last reading refused are listed, if there were any."""
    return stat_file(cache, "unusable", root).with_suffix(".csv")


def read_table(file: Path) -> list[UnusableFile]:
    """The files that the table *file* lists, [] where there is none. Raises OSError."""
    if not file.exists():
        return []
    rows = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8", errors="surrogateescape"), newline=""))
    return [UnusableFile(row["split"], row["file"], row["class"], row["detail"]) for row in rows]


def require_none(unusable: Sequence[UnusableFile], files: int, root: Path, where: str, cache: Path) -> None:
    """Raise DataRejected with the first of *unusable*, of *files* below *root*, which messages call *where*.

    The table lists all of them; it is removed where there are none.
    """
    file = table(cache, root)
    if not unusable:
        file.unlink(missing_ok=True)
        return
    unusable = sorted(unusable, key=lambda entry: entry.path)
    _write(file, unusable)
    first = ", ".join(f"{entry.path} ({entry.reason})" for entry in unusable[:SHOWN])
    rest = ", ..." if len(unusable) > SHOWN else ""
    raise DataRejected(
        f"{len(unusable):,} of {files:,} files in {where} cannot be used: {first}{rest}; {file} lists "
        f"{'all' if rest else 'them'}. Fix or remove them{_cleaning(root, where)}"
    )


def _cleaning(root: Path, where: str) -> str:
    """The command that moves them away; no archive and no bucket can be changed by it."""
    return f", or move them away: python -m pipeline clean --source {shlex.quote(where)}" if where == str(root) else ""


def _write(file: Path, unusable: Sequence[UnusableFile]) -> None:
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows((entry.split, entry.path, entry.name, "unreadable", entry.reason) for entry in unusable)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, text.getvalue().encode(errors="surrogateescape"))
