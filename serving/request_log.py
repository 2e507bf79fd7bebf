"""The request log: a sample of what was asked and answered, bounded in size and days.

    serving/requests/2026-11-27T04.jsonl     a line for each sampled request of that hour (UTC)
    serving/requests/2026-11-27T04/          with serve.keep_images, its pictures of which the model was least sure

A line has the time, route, version, number of images, and of one of them, chosen at random: statistics and the two most
likely classes. Pictures are kept only where the setting says so, as they may show persons.
"""

import heapq
import random
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.progress import say
from components.settings.sections import Serve
from serving.image_statistics import statistics
from serving.messages import encode

MOST_A_SECOND = 50
DAY_SECONDS, MEGABYTE = 86_400, 10**6
PRUNE_SECONDS = 60.0


class RequestLog:
    """`samples` decides and costs nothing; `write` is called by one background thread."""

    def __init__(self, folder: Path, settings: Serve) -> None:
        self._folder, self._settings = folder, settings
        self._second, self._in_second = 0, 0
        self._prune_at = 0.0
        self._hour, self._kept = "", list[tuple[float, str]]()  # pictures of the hour: (-confidence, file)
        self._problem = ""

    def samples(self) -> bool:
        """Whether the request that is being answered is to be logged."""
        if random.random() >= self._settings.log_share:  # noqa: S311 - a sample, no secret
            return False
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        return self._in_second <= MOST_A_SECOND

    def write(self, entry: dict[str, Any], image: NDArray[np.uint8]) -> None:
        """Append *entry* with the statistics of *image*; a disk that is full or read-only is reported once."""
        try:
            self._write(entry | statistics(image), image)
            self._problem = ""
        except OSError as error:
            problem = f"the request log in {self._folder} cannot be written ({error.strerror})"
            if problem != self._problem:
                say(problem)
            self._problem = problem

    def _write(self, entry: dict[str, Any], image: NDArray[np.uint8]) -> None:
        hour = time.strftime("%Y-%m-%dT%H", time.gmtime(entry["time"]))
        self._folder.mkdir(parents=True, exist_ok=True)
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + PRUNE_SECONDS
            self._prune()
        with (self._folder / f"{hour}.jsonl").open("ab") as file:
            file.write(encode(entry) + b"\n")
        if self._settings.keep_images:
            self._keep(hour, entry, image)

    def _keep(self, hour: str, entry: dict[str, Any], image: NDArray[np.uint8]) -> None:
        """Keep *image* while the model was less sure of it than of those that are kept already."""
        from PIL import Image

        if hour != self._hour:
            self._hour, self._kept = hour, []
        folder = self._folder / hour
        name = f"{entry['confidence']:.4f}-{entry['time']:.6f}.png"
        heapq.heappush(self._kept, (-entry["confidence"], name))
        surest = heapq.heappop(self._kept)[1] if len(self._kept) > self._settings.keep_images else ""
        if surest == name:
            return
        folder.mkdir(exist_ok=True)
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(folder / name)
        if surest:
            (folder / surest).unlink(missing_ok=True)

    def _prune(self) -> None:
        """Delete what is older than the days, and then the oldest until the rest is small enough."""
        oldest_first = sorted(self._folder.iterdir())
        sizes = {path: _size(path) for path in oldest_first}
        total, before = sum(sizes.values()), time.time() - self._settings.log_days * DAY_SECONDS
        for path in oldest_first:
            if path.stat().st_mtime < before or total > self._settings.log_megabytes * MEGABYTE:
                total -= sizes[path]
                _delete(path)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]))


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
