"""Corrections of labels, decided by users in a review: $PIPELINE_HOME/corrections/NAME.jsonl, only ever appended.

One JSON object a line, of an image by its identity (components.data.image_ids):

    {"sha256": "9f86d0...", "old": "cat", "new": "dog", "who": "ann", "when": "2026-11-27T08:00:00+00:00"}
    {"sha256": "9f86d0...", "undo": true, "who": "ann", "when": "2026-11-27T08:01:00+00:00"}

new      the right class; null: the image is dropped, in any split; the same as old: the label is right, keep it
undo     takes back the last decision about the image that is not taken back yet
picture  true: the image is none of the data, but a picture that somebody sent to the server; ingest ignores the line

A decision is about the images with that content whose label was `old` when it was taken: that of the source, or what an
earlier decision had made of it. Of several decisions about the same label, the last one holds. Whoever dies while a
line is written leaves a part of it, which is no decision and which the next line replaces.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from components.data import image_ids as identities
from components.errors import DataRejected, StorageFailed
from components.system import locks
from components.system.canonical import canonical, sha256
from components.system.files import flush, open_regular

SHA256 = re.compile("[0-9a-f]{64}")
EXPECTED = '{"sha256": 64 hexadecimal digits, "old": class, "new": class or null}'

Labels = Mapping[str, str | None]  # the label that an image has in the source -> the right one, None: drop the image


@dataclass(frozen=True)
class Correction:
    """One decision about an image; *line* is its number in the file, from 1."""

    sha256: str
    old: str
    new: str | None
    who: str = ""
    when: str = ""
    line: int = 0
    picture: bool = False

    @property
    def keeps(self) -> bool:
        return self.new == self.old


@dataclass(frozen=True)
class Corrections:
    """The decisions in *file* that are not taken back, by image and in order; *torn*: it ends in a part of a line."""

    file: Path
    decisions: Mapping[str, list[Correction]] = field(default_factory=dict)
    torn: bool = False

    @classmethod
    def read(cls, file: Path) -> "Corrections":
        """The decisions in *file*, none where there is no such file.

        Raises DataRejected for a line that is no decision, and where the file cannot be read.
        """
        content = _content(file)
        return cls(file, _decided(_entries(file, content)), content.torn)

    @classmethod
    def as_of(cls, file: Path, digest: str) -> "Corrections | None":
        """The decisions with this *digest* that *file* holds, or held before its last lines came; None for no such.

        Raises as `read` does.
        """
        entries = _entries(file, _content(file))
        for count, effective in _history(entries):
            if _digest(effective) == digest:
                return cls(file, _decided(entries[:count]))
        return None

    def last(self, image: str) -> Correction | None:
        """The last decision about *image* that is not taken back."""
        return self.decisions[image][-1] if image in self.decisions else None

    @cached_property
    def effective(self) -> dict[str, Labels]:
        """What changes: image -> label in the source -> the right label, None: the image is dropped."""
        return _effective(self.decisions)

    @property
    def digest(self) -> str:
        """Identifies what changes, whoever decided it, wherever and when; "" where nothing does."""
        return _digest(self.effective)

    @cached_property
    def disagreeing(self) -> list[list[Correction]]:
        """The decisions about one label of one image that contradict each other; the last of each holds."""
        groups: dict[tuple[str, str], list[Correction]] = {}
        for of_image in self.decisions.values():
            for decision in _of_data(of_image):
                groups.setdefault((decision.sha256, decision.old), []).append(decision)
        return [group for group in groups.values() if len({decision.new for decision in group}) > 1]

    def require_classes(self, classes: Iterable[str]) -> None:
        """Raise DataRejected for the first decision for a class that is none of *classes*."""
        known = list(classes)
        for image, labels in self.effective.items():
            for decision in self.decisions[image]:
                if decision.new in labels.values() and decision.new is not None and decision.new not in known:
                    raise DataRejected(
                        f"{self.file}, line {decision.line} corrects a label to {decision.new!r}, which is no class; "
                        f"expected one of {', '.join(known)}: add such images, or correct the line"
                    )


def _decided(entries: Iterable[Mapping[str, Any]]) -> dict[str, list[Correction]]:
    """What *entries*, the lines of a file, decide about each image and do not take back."""
    decisions: dict[str, list[Correction]] = {}
    for number, entry in enumerate(entries, start=1):
        of_image = decisions.setdefault(entry["sha256"], [])
        if not entry.get("undo"):
            of_image.append(_correction(entry, number))
        elif of_image:
            of_image.pop()
    return {image: of_image for image, of_image in decisions.items() if of_image}


def _history(entries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, dict[str, Labels]]]:
    """How many lines there were, and what they changed: now, and before each line that changed it, backwards."""
    effective = _effective(_decided(entries))
    yield len(entries), effective
    of_image: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        of_image.setdefault(entry["sha256"], []).append(entry)
    for count in range(len(entries) - 1, 0, -1):
        image = entries[count]["sha256"]
        of_image[image].pop()
        before = _effective(_decided(of_image[image])).get(image, {})
        if before != effective.get(image, {}):
            effective |= {image: before}
            yield count, {name: labels for name, labels in effective.items() if labels}


def _effective(decisions: Mapping[str, list[Correction]]) -> dict[str, Labels]:
    changes = {image: _resolved(_of_data(of_image)) for image, of_image in decisions.items()}
    return {image: labels for image, labels in changes.items() if labels}


def _digest(effective: Mapping[str, Labels]) -> str:
    return f"sha256:{sha256(canonical(effective))}" if effective else ""


def _of_data(decisions: list[Correction]) -> list[Correction]:
    return [decision for decision in decisions if not decision.picture]


def _resolved(decisions: list[Correction]) -> dict[str, str | None]:
    """What becomes of each label that *decisions*, those about one image in their order, are about; no keeps."""
    resolved = {decision.old: _follow(decision.old, decisions) for decision in decisions}
    return {old: new for old, new in resolved.items() if new != old}


def _follow(label: str | None, decisions: list[Correction]) -> str | None:
    """What becomes of *label*: the last decision about it, then the last of the later ones about the new label, ..."""
    start = 0
    while later := [place for place in range(start, len(decisions)) if decisions[place].old == label]:
        label, start = decisions[later[-1]].new, later[-1] + 1
    return label


@dataclass(frozen=True)
class _Content:
    lines: list[bytes]
    torn: bool


def _content(file: Path) -> _Content:
    try:
        with open_regular(file) as stream:
            content = stream.read()
    except FileNotFoundError:
        return _Content([], torn=False)
    except OSError as error:
        raise DataRejected(
            f"the corrections in {file} cannot be read ({error.strerror}); expected a file of JSON lines, or none: "
            "--set ingest.corrections= leaves them out"
        ) from None
    *lines, rest = content.split(b"\n")
    if rest and _is_object(rest):  # all but its newline was written
        return _Content([*lines, rest], torn=False)
    return _Content(lines, torn=bool(rest))


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _entries(file: Path, content: _Content) -> list[dict[str, Any]]:
    return [_entry(text, f"{file}, line {number}") for number, text in enumerate(content.lines, start=1)]


def _entry(text: bytes, where: str) -> dict[str, Any]:
    """The JSON object of a line; raises DataRejected where it is no decision."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict) or not _is_decision(entry):
        shown = text[:100].decode(errors="replace")
        raise DataRejected(
            f'{where} is {shown!r}; expected {EXPECTED}, or "undo": true instead of the classes; correct or delete '
            "the line"
        )
    return entry


def _is_decision(entry: Mapping[str, Any]) -> bool:
    image, old, new = entry.get("sha256"), entry.get("old"), entry.get("new", "")
    if not isinstance(image, str) or not SHA256.fullmatch(image):
        return False
    if not all(isinstance(entry.get(name, ""), str) for name in ("who", "when")):
        return False
    if not all(isinstance(entry.get(name, False), bool) for name in ("undo", "picture")):
        return False
    return bool(entry.get("undo")) or (_is_class(old) and (new is None or _is_class(new)))


def _is_class(name: object) -> bool:
    return isinstance(name, str) and bool(name)


def _correction(entry: Mapping[str, Any], line: int) -> Correction:
    who, when, picture = entry.get("who", ""), entry.get("when", ""), entry.get("picture", False)
    return Correction(entry["sha256"], entry["old"], entry["new"], who, when, line, picture)


def append(
    file: Path, image: str, old: str, new: str | None, *, who: str = "", when: str = "", picture: bool = False
) -> None:
    """Append a decision to *file*, on the disk when this returns; several processes may do so at once.

    *when* is now where it is empty. Raises DataRejected for what `Corrections.read` would reject, and StorageFailed.
    """
    entry = {"sha256": image, "old": old, "new": new, "who": who, "when": when or _now()}
    _append(file, entry | ({"picture": True} if picture else {}))


def undo(file: Path, image: str, *, who: str = "", when: str = "") -> None:
    """Take back the last decision about *image* that is not taken back yet; as `append` does."""
    _append(file, {"sha256": image, "undo": True, "who": who, "when": when or _now()})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _append(file: Path, entry: Mapping[str, object]) -> None:
    line = json.dumps(entry).encode()
    _entry(line, f"the new line of {file}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            locks.wait(handle, str(file))
            _write_line(handle, line + b"\n")
        finally:
            os.close(handle)
        flush(file.parent)
    except OSError as error:
        raise StorageFailed(
            f"the correction cannot be written to {file} ({error.strerror}); nothing was kept"
        ) from error


def _write_line(handle: int, line: bytes) -> None:
    """Write *line* behind the last whole one: all of it, or nothing where the disk is full."""
    end, missing = _end(handle)
    try:
        os.ftruncate(handle, end)
        rest = missing + line
        while rest:
            rest = rest[os.pwrite(handle, rest, end + len(missing + line) - len(rest)) :]
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, end)
        raise


def _end(handle: int) -> tuple[int, bytes]:
    """Where the last whole line ends, and the newline that it lacks."""
    size = os.fstat(handle).st_size
    content = os.pread(handle, size, 0)
    start = content.rfind(b"\n") + 1
    rest = content[start:]
    return (size, b"\n") if rest and _is_object(rest) else (start, b"")


def image_ids(ingest: Path, split: str) -> list[str]:
    """The identity of each image of *split*, in order, from the artifact *ingest*; reads the pixels where it has to."""
    return list(_image_ids(ingest, split))


def _image_ids(ingest: Path, split: str) -> Iterator[str]:
    if (file := ingest / identities.FILE).is_file():
        yield from json.loads(file.read_bytes())[split]
    elif (file := ingest / "files.json").is_file():
        hashes = json.loads((ingest / "sha256.json").read_bytes())
        yield from (hashes[path] for path in json.loads(file.read_bytes())[split])
    else:
        from components.data.splits import Split

        for images, _ in Split(ingest / split).blocks():
            yield from identities.pixel_ids(images)
