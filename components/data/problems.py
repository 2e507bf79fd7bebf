"""Images with a problem, each named by its file: problems.csv of ingest, validate and evaluate. Standard library only.

split,file,class,problem,detail,index,other_split,other_file,other_index
train,cats/IMG_0017.jpg,cats,duplicate,repeats cats/IMG_0003.jpg,17,train,cats/IMG_0003.jpg,3

*file* is the image's path below the folder of images, empty for other sources; *index* its place in its split, -1 where
it was left out. *other* is the image that it repeats, where the problem is one of two images.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

FILE = "problems.csv"
COLUMNS = ("split", "file", "class", "problem", "detail", "index", "other_split", "other_file", "other_index")

UNREADABLE = "unreadable"
BLANK, FAINT = "blank", "nearly-blank"
DUPLICATE, NEAR_DUPLICATE, CONFLICT = "duplicate", "near-duplicate", "label-conflict"
MISTAKE, SUSPECT = "mistake", "suspected-label"


class ImageAt(NamedTuple):
    """An image by its place in a split, and its file below the folder of images, "" where it has none."""

    split: str
    position: int
    file: str

    def __str__(self) -> str:
        return self.file or f"{self.split} image {self.position}"


class Problem(NamedTuple):
    """A row of problems.csv."""

    image: ImageAt
    class_name: str
    problem: str
    detail: str
    other: ImageAt | None = None


class ImageFiles:
    """The file of each image, where ingest read a folder of them: files.json of its artifact."""

    def __init__(self, paths: Mapping[str, Sequence[str]]) -> None:
        self._paths = paths

    @classmethod
    def of(cls, ingest: Path) -> "ImageFiles":
        file = ingest / "files.json"
        return cls(json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {})

    def __bool__(self) -> bool:
        return bool(self._paths)

    def lengths(self, split: str, count: int) -> list[int]:
        """The length of the path of each of *count* images."""
        paths = self._paths.get(split, ())
        return [len(path) for path in paths] if len(paths) == count else [0] * count

    def at(self, split: str, index: int) -> ImageAt:
        paths = self._paths.get(split, ())
        return ImageAt(split, index, paths[index] if index < len(paths) else "")


def write(problems: Iterable[Problem], folder: Path) -> None:
    """Write *problems* to problems.csv in *folder*."""
    with (folder / FILE).open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows(map(_row, problems))


def read(folder: Path) -> list[Problem]:
    """The rows of problems.csv in *folder*; none where there is no such file."""
    if not (folder / FILE).is_file():
        return []
    with (folder / FILE).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file)
        next(rows, None)
        return [_problem(row) for row in rows]


def _row(problem: Problem) -> tuple[object, ...]:
    (split, position, file), name, kind, detail, other = problem
    rest = (other.split, other.file, other.position) if other else ("", "", "")
    return split, file, name, kind, detail, position, *rest


def _problem(row: Sequence[str]) -> Problem:
    split, file, name, kind, detail, index, other_split, other_file, other_index = row
    other = ImageAt(other_split, int(other_index), other_file) if other_split else None
    return Problem(ImageAt(split, int(index), file), name, kind, detail, other)
