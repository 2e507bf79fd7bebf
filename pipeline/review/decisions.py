"""What was decided about the items of a review: read from the file of corrections, and appended to it."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from components.data import corrections
from components.data.corrections import Correction, Corrections
from pipeline.review.queue import Item
from pipeline.review.reported import KeptPictures

Choice = Literal["keep", "relabel", "drop"]


@dataclass(frozen=True)
class Decision:
    """About one item; *label* is "" where it is dropped. *line* of the file is its last one."""

    choice: Choice
    label: str
    who: str
    when: str
    line: int


@dataclass(frozen=True)
class Counts:
    """How many labels are corrected, images dropped and pictures of users kept, in the whole file."""

    relabelled: int
    dropped: int
    pictures: int


class Meanwhile(Exception):
    """Another page or process has decided about the item since it was shown."""


class Decisions:
    """Those in *file*, by any thread; other processes may append to it at the same time."""

    def __init__(self, file: Path, who: str, pictures: KeptPictures) -> None:
        self.file, self.pictures, self._who = file, pictures, who
        self._lock = threading.Lock()
        self._read, self._status = Corrections(file), (-1, -1)

    def all(self) -> Corrections:
        """What the file says now; raises DataRejected where a line is no decision."""
        with self._lock:
            return self._all()

    def _all(self) -> Corrections:
        try:
            status = self.file.stat()
            now = status.st_size, status.st_mtime_ns
        except FileNotFoundError:
            now = 0, 0
        if now != self._status:
            self._read, self._status = Corrections.read(self.file), now
        return self._read

    def of(self, items: Iterable[Item]) -> dict[str, Decision]:
        """The decisions about *items*, by their ids; those that are open have none."""
        known = self.all()
        return {item.id: decision for item in items if (decision := _decision(known, item))}

    def counts(self) -> Counts:
        new = [label for labels in self.all().effective.values() for label in labels.values()]
        return Counts(len(new) - new.count(None), new.count(None), len(self.pictures))

    def decide(self, item: Item, choice: Choice, label: str, seen: int) -> None:
        """Append the decision, after an undo of the one before; *seen* is the line of that one, 0 where there was none.

        Raises Meanwhile where there is another one by now, and StorageFailed.
        """
        with self._lock:
            self._take_back(item, seen)
            for sha256, given in item.labels:
                new = {"keep": given, "relabel": label, "drop": None}[choice]
                corrections.append(self.file, sha256, given, new, who=self._who, picture=bool(item.picture))
                if item.picture and new is not None:
                    self.pictures.keep(sha256, item.picture, new)

    def undo(self, item: Item, seen: int) -> None:
        """Take back the decision about *item*, whose line is *seen*; raises as `decide` does."""
        with self._lock:
            self._take_back(item, seen)

    def _take_back(self, item: Item, seen: int) -> None:
        known = self._all()
        decision = _decision(known, item)
        if (decision.line if decision else 0) != seen:
            raise Meanwhile
        for sha256 in dict.fromkeys(image for image, _ in item.labels):
            written = sum(image == sha256 for image, _ in item.labels)
            for _ in known.decisions.get(sha256, [])[-written:]:
                corrections.undo(self.file, sha256, who=self._who)
            if item.picture:
                self.pictures.remove(sha256)


def _decision(known: Corrections, item: Item) -> Decision | None:
    """About all copies of *item*: what corrects one of them says more than what keeps another."""
    found = [_about(known, sha256, label) for sha256, label in item.labels]
    decided = [correction for correction in found if correction]
    if len(decided) < len(found):
        return None
    shown = next((correction for correction in decided if not correction.keeps), decided[0])
    choice: Choice = "keep" if shown.keeps else "drop" if shown.new is None else "relabel"
    line = max(correction.line for correction in decided)
    return Decision(choice, shown.new or "", shown.who, shown.when, line)


def _about(known: Corrections, sha256: str, label: str) -> Correction | None:
    """The last decision about the image under *label*; where an earlier one gave it that label, the last of all."""
    of_image = known.decisions.get(sha256, [])
    return next((correction for correction in reversed(of_image) if correction.old == label), known.last(sha256))
