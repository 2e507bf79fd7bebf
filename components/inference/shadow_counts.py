"""How often the challenger disagreed with the champion on the requests that both answered, as the server stores it.

    FOLDER/NAME/CHAMPION-CHALLENGER.jsonl   {"images": 512, "disagreements": 1}, what was counted since the line before

Lines are only ever appended, so that several servers of one workspace, and one that was started again, add up.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from components.proportions import upper_bound
from components.system.files import file_name


@dataclass(frozen=True)
class ShadowCounts:
    """Of *images* that two versions classified, the number with *disagreements*."""

    images: int
    disagreements: int

    @property
    def bound(self) -> float:
        """The share of disagreements not exceeded with a confidence of 95 %; 1 before the first image.

        The accuracy of the two versions differs by at most the share of disagreements, whatever the labels.
        """
        return upper_bound(self.disagreements, self.images) if self.images else 1.0


def _file(folder: Path, model: str, champion: str, challenger: str) -> Path:
    return folder / file_name(model) / f"{champion}-{challenger}.jsonl"


def add(folder: Path, model: str, champion: str, challenger: str, counts: ShadowCounts) -> None:
    """Add *counts* to those of the two versions. Raises OSError."""
    file = _file(folder, model, champion, challenger)
    file.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"images": counts.images, "disagreements": counts.disagreements}) + "\n"
    with file.open("ab", buffering=0) as stream:  # one write, which another server's cannot divide
        stream.write(line.encode())


def read(folder: Path, model: str, champion: str, challenger: str) -> ShadowCounts | None:
    """All that was counted of the two versions; None where nothing was. A line that a crash left torn is left out."""
    try:
        lines = _file(folder, model, champion, challenger).read_text(errors="replace").splitlines()
    except OSError:
        return None
    counted = [counts for line in lines if (counts := _parsed(line))]
    if not counted:
        return None
    return ShadowCounts(sum(each.images for each in counted), sum(each.disagreements for each in counted))


def _parsed(line: str) -> ShadowCounts | None:
    try:
        entry = json.loads(line)
        return ShadowCounts(int(entry["images"]), int(entry["disagreements"]))
    except (ValueError, KeyError, TypeError):
        return None
