"""What people called wrong, for the review of labels: a line each in serving/wrong.jsonl, bounded in size and rate."""

import base64
import threading
import time
from pathlib import Path
from typing import Any

from components.data.pictures.encoding import png
from components.data.splits import Images
from serving.messages import Refused, encode

MOST_BYTES = 50 * 10**6
MOST_A_MINUTE = 30


class WrongAnswers:
    """`add` is called by any thread."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()
        self._minute, self._in_minute = 0, 0

    def add(self, entry: dict[str, Any], image: Images) -> None:
        """Append *entry* with its picture; raises Refused where there are too many, or the disk takes none."""
        picture = base64.b64encode(png(image)).decode()
        line = encode({"time": time.time(), **entry, "picture": picture}) + b"\n"
        with self._lock:
            self._expect_room(len(line))
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with self._file.open("ab") as file:
                    file.write(line)
            except OSError as error:
                raise Refused(503, f"the report cannot be stored here ({error.strerror})") from None

    def _expect_room(self, size: int) -> None:
        minute = int(time.monotonic() / 60)
        if minute != self._minute:
            self._minute, self._in_minute = minute, 0
        self._in_minute += 1
        if self._in_minute > MOST_A_MINUTE:
            raise Refused(429, f"{MOST_A_MINUTE} reports came in this minute; try again", ((b"retry-after", b"60"),))
        if (self._file.stat().st_size if self._file.exists() else 0) + size > MOST_BYTES:
            raise Refused(507, "as many reports are here as are kept; review them, then delete their file")
