"""The installed wheels, as their folders NAME-VERSION.dist-info say. Standard library only."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Wheel(NamedTuple):
    """*tags* are those of its file name, "cp311-cp311-manylinux_2_17_x86_64"; several where it fits several."""

    name: str
    version: str
    tags: tuple[str, ...]


def wheels() -> list[Wheel]:
    """Every wheel that this interpreter can import, by name; the first folder of sys.path wins, as for imports."""
    found: dict[str, Wheel] = {}
    for folder in dict.fromkeys(sys.path):
        for described in sorted(Path(folder or ".").glob("*.dist-info/WHEEL")):
            wheel = _wheel(described)
            found.setdefault(wheel.name.lower(), wheel)
    return [found[name] for name in sorted(found)]


def _wheel(described: Path) -> Wheel:
    name, _, version = described.parent.name.removesuffix(".dist-info").partition("-")
    tags: list[str] = []
    with suppress(OSError):  # it is being replaced just now
        lines = described.read_text(encoding="utf-8", errors="replace").splitlines()
        tags = [line.removeprefix("Tag:").strip() for line in lines if line.startswith("Tag:")]
    return Wheel(name.replace("_", "-"), version, tuple(tags))
