"""What was decided about the items of a review: read from the file of corrections, and appended to it."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Literal

from components.data import corrections
from components.data.corrections import Correction, Corrections, Labels
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
    """Of how many images labels are corrected, how many are dropped, and pictures of users kept, in the whole file."""

    relabelled: int
    dropped: int
    pictures: int


class Meanwhile(Exception):
    """Another page or process has decided about the item since it was shown."""


class Decisions:
    """Those in *file*, by any thread; other processes may append to it at the same time.

    *applied* is what the run under review has corrected: image -> label in the source -> label that is shown. A
    decision is about these labels of the source too, as the one that changed them may be taken back.
    """

    def __init__(
        self, file: Path, who: str, pictures: KeptPictures, applied: Mapping[str, Labels] | None = None
    ) -> None:
        self.file, self.pictures, self._who = file, pictures, who
        self._applied = applied or {}
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
        changes = self.all().effective.values()
        dropped = sum(set(labels.values()) == {None} for labels in changes)
        return Counts(len(changes) - dropped, dropped, len(self.pictures))

    def decide(self, item: Item, choice: Choice, label: str, seen: int) -> None:
        """Append the decision, after an undo of the one before; *seen* is the line of that one, 0 where there was none.

        Raises Meanwhile where there is another one by now, and StorageFailed.
        """
        with self._lock:
            self._take_back(item, seen)
            when = datetime.now(UTC).isoformat(timespec="seconds")  # the same in all lines of one decision
            for sha256, given in item.labels:
                new = {"keep": given, "relabel": label, "drop": None}[choice]
                for old in self._origins(sha256, given):
                    corrections.append(
                        self.file, sha256, old, new, who=self._who, when=when, picture=bool(item.picture)
                    )
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
            shown = [label for image, label in item.labels if image == sha256]
            for _ in range(self._written(known.decisions.get(sha256, []), sha256, shown)):
                corrections.undo(self.file, sha256, who=self._who)
            if item.picture:
                self.pictures.remove(sha256)

    def _written(self, of_image: list[Correction], sha256: str, shown: list[str]) -> int:
        """How many of *of_image* are the lines of its last decision, which has one for each of `_origins`."""
        taken = [(line.who, line.when) for line in reversed(of_image)]
        together = len(list(takewhile(lambda line: line == taken[0], taken)))
        origins = sum(len(self._origins(sha256, label)) for label in shown)
        return min(origins, together)

    def _origins(self, sha256: str, label: str) -> list[str]:
        """The labels of the source that *label*, which is shown, may stand for: itself, and those it has replaced."""
        return [*(old for old, new in self._applied.get(sha256, {}).items() if new == label), label]


def _decision(known: Corrections, item: Item) -> Decision | None:
    """About all copies of *item*: what corrects one of them says more than what keeps another."""
    latest = [_about(known, sha256, label) for sha256, label in item.labels]
    decided = [correction for correction in latest if correction]
    if len(decided) < len(latest):
        return None
    shown = next((correction for correction in decided if not correction.keeps), decided[0])
    choice: Choice = "keep" if shown.keeps else "drop" if shown.new is None else "relabel"
    line = max(correction.line for correction in decided)
    return Decision(choice, shown.new or "", shown.who, shown.when, line)


def _about(known: Corrections, sha256: str, label: str) -> Correction | None:
    """The last decision about the image under *label*; where an earlier one gave it that label, the last of all."""
    of_image = known.decisions.get(sha256, [])
    return next((correction for correction in reversed(of_image) if correction.old == label), known.last(sha256))
