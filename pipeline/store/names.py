"""Names that become paths: whoever wrote them, none may lead out of the store or out of an artifact."""

import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.store.artifact import MANIFEST

STAGE = re.compile(r"[a-z][a-z_]*")
KEY = re.compile(r"[0-9a-f]{16}")
DRIVE = re.compile(r"[A-Za-z]:")
LONGEST = 255  # bytes of a file's name


def is_artifact(stage: str, key: str) -> bool:
    """Whether *stage* and *key* can name an artifact; what people keep beside the artifacts is none."""
    return bool(STAGE.fullmatch(stage) and KEY.fullmatch(key))


def unsafe(names: Iterable[str]) -> str | None:
    """The first of *names* that is not the relative path of a file of its own in an artifact, None where all are."""
    known = set(names)
    return next((name for name in sorted(known) if not _is_safe(name) or _is_below(name, known)), None)


def strange(name: str) -> str:
    """What an error says of a manifest with the unsafe *name*."""
    return f"names {name[:60]!r}, which is no file of an artifact"


def _is_safe(name: str) -> bool:
    if name == MANIFEST or "\\" in name or "\0" in name or DRIVE.match(name):
        return False
    return all(_is_file_name(part) for part in name.split("/"))


def _is_file_name(part: str) -> bool:
    try:
        return part not in ("", ".", "..") and len(part.encode()) <= LONGEST
    except UnicodeEncodeError:
        return False


def _is_below(name: str, names: set[str]) -> bool:
    """Whether one of *names* is a folder on the way to *name*."""
    parts = name.split("/")
    return any("/".join(parts[:length]) in names for length in range(1, len(parts)))


def through_link(folder: Path, name: str) -> bool:
    """Whether *name* below *folder* is a symbolic link, or leads through one."""
    parts = name.split("/")
    return any(folder.joinpath(*parts[:length]).is_symlink() for length in range(1, len(parts) + 1))
