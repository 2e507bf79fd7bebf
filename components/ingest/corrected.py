"""Corrections of labels (components.data.corrections), applied to the blocks of a source as they are read."""

from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.artifact_files import CorrectionCounts
from components.data.corrections import Correction, Corrections
from components.data.image_ids import pixel_ids
from components.formatting import thousands
from components.ingest.reading.image_source import ImageSource

if TYPE_CHECKING:
    from components.data.splits import Images, Labels
    from components.ingest.reading.image_source import Block

APPLIED, ALREADY, OTHER, GONE = range(4)  # what becomes of a correction: of several images of it, the first of these
SHOWN = 12  # digits of a sha256


class Corrector:
    """The blocks of *source* with its labels corrected; what became of the corrections, once they are read.

    *ids* are those of the images that are written, by split, where they are no files and `keep_ids` or the source says
    that their pixels change: identities cannot be computed from the artifact then.
    """

    def __init__(self, source: ImageSource, corrections: Corrections, *, keep_ids: bool = False) -> None:
        self._source, self.corrections = source, corrections
        self.ids: dict[str, list[str]] = {}
        self._keep_ids = keep_ids or bool(source.ids)
        self._numbers = {name: number for number, name in enumerate(source.classes)}
        self._outcomes: dict[str, int] = {}  # by image
        self.labels: dict[str, str] = {}  # image -> its label, where its correction is about others
        self._relabelled = self._dropped = 0

    def blocks(self) -> "Iterator[Block]":
        """The blocks, without the images that are dropped; *source* is complete once this is exhausted."""
        if not self._keep_ids and not self.corrections.effective:
            yield from self._source.blocks
            return
        for split, images, labels in self._source.blocks:
            ids = self._ids(split, images)
            corrected = self._corrected(ids, labels)
            dropped = [place for place, label in enumerate(corrected) if label is None]
            if self._keep_ids:
                self.ids.setdefault(split, []).extend(ids)
            if dropped:
                self._forget(split, dropped, len(ids))
            yield self._block(split, images, corrected)

    def _ids(self, split: str, images: "Images") -> list[str]:
        source, count = self._source, len(images)
        if source.files:
            return [source.hashes[path] for path in source.files[split][len(source.files[split]) - count :]]
        return source.ids[split][len(source.ids[split]) - count :] if source.ids else pixel_ids(images)

    def _corrected(self, ids: list[str], labels: "Labels") -> list[int | None]:
        """The right label of each image, None where it is dropped."""
        effective, numbers = self.corrections.effective, labels.tolist()
        return [self._right(i, label) if i in effective else label for i, label in zip(ids, numbers, strict=True)]

    def _right(self, image: str, number: int) -> int | None:
        """The right label of *image*, whose label in the source is *number*."""
        changes, classes = self.corrections.effective[image], self._source.classes
        label = classes[number] if 0 <= number < len(classes) else ""
        if label not in changes:
            self._note(image, ALREADY if label in changes.values() else OTHER)
            self.labels.setdefault(image, label)
            return number
        self._note(image, APPLIED)
        new = changes[label]
        self._dropped += new is None
        self._relabelled += new is not None
        return None if new is None else self._numbers[new]

    def _note(self, image: str, outcome: int) -> None:
        self._outcomes[image] = min(self._outcomes.get(image, GONE), outcome)

    def _forget(self, split: str, dropped: list[int], count: int) -> None:
        """Leave the images out of what is known of the last *count* of *split*; *dropped* are places among them."""
        drawn = self._source.drawn
        known: list[list[str] | array[float]] = [names[split] for names in (self._source.files, self.ids) if names]
        for of_split in [*known, *([drawn.places[split]] if drawn else [])]:
            start = len(of_split) - count
            for place in reversed(dropped):
                del of_split[start + place]

    def _block(self, split: str, images: "Images", corrected: list[int | None]) -> "Block":
        import numpy as np

        kept = np.array([label is not None for label in corrected], np.bool_)
        return split, images[kept], np.array([label for label in corrected if label is not None], np.int64)

    def counts(self) -> CorrectionCounts:
        outcomes = [self._outcomes.get(image, GONE) for image in self.corrections.effective]
        return {
            "applied": outcomes.count(APPLIED),
            "relabelled": self._relabelled,
            "dropped": self._dropped,
            "already": outcomes.count(ALREADY),
            "gone": outcomes.count(GONE),
            "not_applied": outcomes.count(OTHER),
        }

    def first(self, outcome: int) -> str:
        """The first image of whose correction *outcome* became."""
        return next(image for image in self.corrections.effective if self._outcomes.get(image, GONE) == outcome)


def described(corrector: Corrector) -> list[str]:
    """What was corrected, as a sentence; none where nothing was."""
    counts = corrector.counts()
    parts = [f"{_plural(counts['relabelled'], 'label')} changed", f"{_plural(counts['dropped'], 'image')} dropped"]
    changed = ", ".join(part for part in parts if not part.startswith("0 "))
    return [f"trained with {_plural(counts['applied'], 'correction')}: {changed}"] if changed else []


def warnings(corrector: Corrector) -> list[str]:
    """The corrections that changed nothing, and the decisions that contradict each other; a sentence each."""
    counts, corrections, sentences = corrector.counts(), corrector.corrections, []
    if counts["gone"]:
        subject = f"{_plural(counts['gone'], 'correction')} changed nothing"
        sentences.append(f"{subject}, as the images are gone (the first: {_shown(corrector.first(GONE), corrections)})")
    if counts["not_applied"]:
        image = corrector.first(OTHER)
        sentences.append(
            f"{_plural(counts['not_applied'], 'correction')} changed nothing, as the images have another label by now "
            f"(the first: {_shown(image, corrections)}, and the label is {corrector.labels[image]})"
        )
    return [*sentences, *_disagreeing(corrections.disagreeing)]


def _disagreeing(groups: list[list[Correction]]) -> Iterator[str]:
    if groups:
        subject = f"the decisions about {_plural(len({group[0].sha256 for group in groups}), 'image')} disagree"
        first = ", ".join(f"{_new(decision.new)}{_by(decision)}" for decision in groups[0])
        shown = f"{groups[0][0].sha256[:SHOWN]}, {groups[0][0].old} -> {first}"
        yield f"{subject}, and the last one holds (the first: {shown})"


def _plural(count: int, noun: str) -> str:
    return f"{thousands(count)} {noun}{'' if count == 1 else 's'}"


def _shown(image: str, corrections: Corrections) -> str:
    changes = (f"{old} -> {_new(new)}" for old, new in corrections.effective[image].items())
    return f"{image[:SHOWN]}, {', '.join(changes)}"


def _new(label: str | None) -> str:
    return "dropped" if label is None else label


def _by(decision: Correction) -> str:
    return f" by {decision.who}" if decision.who else ""
