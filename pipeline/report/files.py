"""The files of artifacts that a report shows: JSON and PNG."""

import base64
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Picture:
    """A PNG file as a data URI, with the size to show it at and the text for readers who do not see it."""

    uri: str
    width: int
    height: int
    alt: str
    name: str = ""


def read_json(artifacts: Mapping[str, Path], stage: str, name: str) -> Any:
    """A JSON file of *stage*, of its type in components/artifact_files.py; None where the run does not have it."""
    path = artifacts[stage] / name if stage in artifacts else None
    return json.loads(path.read_bytes()) if path and path.is_file() else None


def picture(path: Path, alt: str, name: str = "", *, dense: bool = True) -> Picture | None:
    """The PNG file *path*, None where there is none; a *dense* one is shown at half its pixels, for sharp screens."""
    if not path.is_file():
        return None
    png = path.read_bytes()
    width, height = struct.unpack(">II", png[16:24])  # the header chunk, https://www.w3.org/TR/png-3/#11IHDR
    uri = "data:image/png;base64," + base64.b64encode(png).decode()
    density = 2 if dense else 1
    return Picture(uri, width // density, height // density, alt, name)
