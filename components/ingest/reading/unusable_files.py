"""Files that are no images that can be read: they are left out, and the check of ingest says how many may be."""

from collections.abc import Sequence
from typing import NamedTuple

from components.artifact_files import Unreadable
from components.data.problems import UNREADABLE, ImageAt, Problem
from components.errors import DataRejected

SHOWN = 5


class UnusableFile(NamedTuple):
    """Its split ("" before one is drawn), its path below the folder, its class, and why it cannot be used."""

    split: str
    path: str
    name: str
    reason: str


class NoUsableFile(DataRejected):
    """None of the *files* of a source, which messages call *where*, can be used."""

    def __init__(self, files: Sequence[UnusableFile], where: str) -> None:
        self.files = files
        super().__init__(f"{described(summary(files, len(files)), where)}. Fix or replace them")


def summary(unusable: Sequence[UnusableFile], files: int) -> Unreadable:
    """How many of so many *files* are *unusable*, and the first of them."""
    first = sorted(unusable, key=lambda file: file.path)[:SHOWN]
    return {"count": len(unusable), "files": files, "first": [f"{file.path} ({file.reason})" for file in first]}


def described(unreadable: Unreadable, where: str) -> str:
    first = ", ".join(unreadable["first"]) + (", ..." if unreadable["count"] > len(unreadable["first"]) else "")
    return f"{unreadable['count']:,} of {unreadable['files']:,} files in {where} cannot be used: {first}"


def rows(unusable: Sequence[UnusableFile]) -> list[Problem]:
    """A row of problems.csv for each file."""
    return [
        Problem(ImageAt(file.split, -1, file.path), file.name, UNREADABLE, file.reason)
        for file in sorted(unusable, key=lambda file: file.path)
    ]
