"""How long the commands take in a workspace that was used for years: python -m benchmarks.scale [--versions N] ...

Makes a workspace with so many versions, runs and artifacts out of one run on the digits (benchmarks/crowded_home.py),
and a folder of so many PNG files in ten classes. Then, interleaved, in several rounds, beside the workspace with one
version: a run with nothing to do, the commands that look back, and gc of what that leaves. Prints seconds of the whole
command, as mean (lowest to highest), the processor time and the memory of the process at its peak.
"""

import argparse
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.crowded_home import copy_of, crowd
from benchmarks.defaults import spread
from components.progress import progress, say
from pipeline.home import Home
from tests.conftest import CLEAN, ROOT

MODEL = "digits-classifier"
DIGITS = ("--source", "digits", "--config", "pipeline/profiles/fast.toml", "--set", "gate.min_accuracy=0.5")
CLASSES, SIDE = 10, 8
COMMANDS = {
    "run, nothing to do": ("run", *DIGITS),
    "models": ("models",),
    "history": ("history",),
    "runs": ("runs",),
    "explain": ("explain", *DIGITS),
    "verify --quick": ("verify", "--quick"),
    "gc --dry-run": ("gc", "--dry-run"),
}
CHANGING = {  # in a copy of the workspace, one after the other
    "promote --force": ("promote", "20", "--force", "--reason", "measured"),
    "rollback": ("rollback",),
    "gc": ("gc",),
}


class Cost(NamedTuple):
    """Seconds of a command, of its processor time, and the megabytes of its process at the peak."""

    seconds: float
    processor: float
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--versions", type=int, default=1000, help="of the model (default: 1,000)")
    parser.add_argument("--runs", type=int, default=1000, help="recorded (default: 1,000)")
    parser.add_argument("--artifacts", type=int, default=5000, help="in the store (default: 5,000)")
    parser.add_argument("--images", type=int, default=300_000, help="PNG files; 0 leaves them out (default: 300,000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement (default: 3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = folder / "small", folder / "large"
        pipeline(small, "run", *DIGITS)
        shutil.copytree(small, large, symlinks=True)
        crowd(Home(large), MODEL, options.versions, options.runs, options.artifacts)
        costs: dict[str, list[Cost]] = {}
        images = _images(folder, options.images) if options.images else None
        for number in range(options.rounds):
            for what, cost in _round(small, large, folder / f"copy-{number}", images):
                costs.setdefault(what, []).append(cost)
                say(f"round {number + 1}, {what}: {cost.seconds:.2f} s")
    print("| command | seconds | processor time, s | memory, MB |\n|---|---|---|---|")
    for what, measured in costs.items():
        columns = (spread([getattr(cost, field) for cost in measured], 2) for field in Cost._fields[:2])
        print(f"| {what} | {' | '.join(columns)} | {max(cost.memory for cost in measured):.0f} |")


def _round(small: Path, large: Path, copy: Path, images: Path | None) -> Iterator[tuple[str, Cost]]:
    for what, command in COMMANDS.items():
        yield f"{what}: one version", pipeline(small, *command)
        yield f"{what}: all", pipeline(large, *command)
    copy_of(large, copy)
    time.sleep(3)  # files younger than two seconds are not trusted
    pipeline(copy, "gc", "--dry-run")  # reads the manifests, which a workspace in use has read before
    for what, command in CHANGING.items():
        yield f"{what}: all", pipeline(copy, *command)
    shutil.rmtree(copy)
    if images:
        home = images.with_name("home of images")
        yield "explain, unchanged images", pipeline(home, "explain", "--source", str(images))


def pipeline(home: Path, *command: str) -> Cost:
    """What the whole command costs, its child processes included."""
    arguments, start = [sys.executable, "-m", "pipeline", *command], time.monotonic()
    environment = {**CLEAN, "PIPELINE_HOME": str(home)}
    process = subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {said}")
    return Cost(time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def _images(folder: Path, images: int) -> Path:
    """PNG files of noise, which have been looked at once and have settled."""
    source, rng = folder / "images", np.random.default_rng(0)
    for number in range(CLASSES):
        (source / f"class{number}").mkdir(parents=True)
    with progress("writing images", images) as advance:
        for number in range(images):
            pixels = rng.integers(0, 256, (SIDE, SIDE), np.uint8)
            (source / f"class{number % CLASSES}" / f"{number:07d}.png").write_bytes(png(pixels))
            advance(number + 1)
    time.sleep(3)  # files younger than two seconds are not trusted
    for _ in range(2):
        pipeline(folder / "home of images", "explain", "--source", str(source))
    return source


def png(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> bytes:
    """A grey PNG, written in a tenth of Pillow's time."""
    header = struct.pack(">IIBBBBB", *pixels.shape[::-1], 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    parts: Sequence[tuple[bytes, bytes]] = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


if __name__ == "__main__":
    main()
