"""The pictures that users of the server called wrong: read from its reports, and kept once their class is decided.

$PIPELINE_HOME/
  serving/wrong.jsonl                     a line each, written by the server; serve.report_folder names another folder
  corrections/NAME-pictures/
    CLASS/SHA256.png                      pictures whose class was decided in the review: a folder of images
"""

import base64
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.errors import StorageFailed
from components.formatting import percent
from components.system.files import file_name, open_regular, write_atomically

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Reported:
    """A picture, the *label* that its user says, and the *answer* of the model; *sha256* is that of the PNG file."""

    sha256: str
    png: bytes
    label: str
    answer: str
    reason: str
    when: str


def read(file: Path, model: str, classes: Collection[str]) -> list[Reported]:
    """The pictures about *model* in *file* whose label is one of *classes*; of one picture, the last report.

    Lines that are no report are left out: the server appends to the file, also at this moment.
    """
    try:
        with open_regular(file) as stream:
            lines = stream.read().splitlines()
    except OSError:
        return []
    reports = (report for line in lines if (report := _reported(line, model)))
    return list({report.sha256: report for report in reports if report.label in classes}.values())


def _reported(line: bytes, model: str) -> Reported | None:
    with suppress(ValueError, KeyError, TypeError, OverflowError, OSError):  # of a line that is no report
        entry: Mapping[str, Any] = json.loads(line)
        picture = base64.b64decode(entry["picture"])
        if entry["model"] == model and picture.startswith(PNG):
            when = datetime.fromtimestamp(entry["time"], UTC).strftime("%Y-%m-%d %H:%M")
            label, answer, confidence = str(entry["label"]), str(entry["answer"]), float(entry["confidence"])
            reason = (
                f"a user says {label!r}; version {entry['version']} answered {answer!r} with a probability of "
                f"{percent(confidence, 1)}"
            )
            return Reported(hashlib.sha256(picture).hexdigest(), picture, label, answer, reason, when)
    return None


class KeptPictures:
    """The folder of pictures whose class was decided."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, sha256: str, png: bytes, label: str) -> None:
        """Write the picture below *label*. Raises StorageFailed."""
        target = self.folder / file_name(label) / f"{sha256}.png"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, png, flush=True)
        except OSError as error:
            raise StorageFailed(f"the picture cannot be written to {target} ({error.strerror})") from error

    def remove(self, sha256: str) -> None:
        for file in self._files(sha256):
            file.unlink(missing_ok=True)
            with suppress(OSError):  # other pictures of the class are there
                file.parent.rmdir()

    def __len__(self) -> int:
        return sum(1 for _ in self._files("*"))

    def _files(self, sha256: str) -> Iterator[Path]:
        return self.folder.glob(f"*/{sha256}.png")
