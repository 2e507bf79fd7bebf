"""How long a folder of many images takes: python -m benchmarks.many_images [--images N ...] [--added 1000] ...

Writes so many PNG files of 64 x 64 grey pixels, no two alike, in ten classes. `stage ingest`, `validate` and
`normalize` read them, each a process of its own. Then images are added, and the three stages run again, and ingest once
more in a workspace that has not seen the images: its digest has to be the same. Prints seconds of each command, the
processor time of all its processes, and the memory of the largest one at its peak.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.scale import CLASSES, Cost, pipeline, png
from components.progress import say
from components.system.processor import cores

SIDE, CELL = 64, 8
SETTLED = 3  # seconds; files younger than two are not trusted
STAGES = ("ingest", "validate", "normalize")
AT_ONCE = 5_000  # images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000], help="(default: 10000 100000)")
    parser.add_argument("--added", type=int, default=1000, help="images (default: 1,000)")
    parser.add_argument("--folder", type=Path, help="for the images and workspaces (default: a temporary one)")
    options = parser.parse_args()
    print("| images | what | seconds | processor time, s | memory, MB |\n|---|---|---|---|---|", flush=True)
    for images in options.images:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            measure(Path(name), images, options.added)


def measure(folder: Path, images: int, added: int) -> None:
    """Print the rows of so many *images*, and of as many with some *added*."""
    source, home = folder / "images", folder / "home"
    write(source, range(images))
    whole = [_row(images, stage, _stage(home, stage, source)) for stage in STAGES]
    _row(images, "all three", _sum(whole))
    write(source, range(images, images + added))
    again = [_row(images, f"{stage}, {added:,} added", _stage(home, stage, source)) for stage in STAGES]
    _row(images, f"all three, {added:,} added", _sum(again))
    empty = folder / "empty workspace"
    full = _row(images, f"ingest, {added:,} added, in an empty workspace", _stage(empty, "ingest", source))
    same = _digest(home) == _digest(empty)
    share = again[0].processor / full.processor
    print(f"ingest: {share:.1%} of the processor time of a full read, {'the same' if same else 'ANOTHER'} digest")


def write(source: Path, numbers: range) -> None:
    """Write the images of these *numbers*, and wait until their times are old enough to be trusted."""
    for number in range(CLASSES):
        (source / f"class{number}").mkdir(parents=True, exist_ok=True)
    parts = [numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE)]
    with ProcessPoolExecutor(cores()) as pool:
        for _ in pool.map(partial(_write, source), parts):
            ...
    say(f"{len(numbers):,} images written")
    time.sleep(SETTLED)


def _write(source: Path, numbers: Sequence[int]) -> None:
    rng = np.random.default_rng(numbers[0])
    for number in numbers:
        pixels = rng.integers(0, 256, (SIDE // CELL, SIDE // CELL), np.uint8).repeat(CELL, 0).repeat(CELL, 1)
        pixels[0] = np.frombuffer(number.to_bytes(SIDE), np.uint8)  # no two are alike
        (source / f"class{number % CLASSES}" / f"{number:07d}.png").write_bytes(png(pixels))


def _stage(home: Path, stage: str, source: Path) -> Cost:
    return pipeline(home, "stage", stage, "--source", str(source))


def _row(images: int, what: str, cost: Cost) -> Cost:
    print(f"| {images:,} | {what} | {cost.seconds:.1f} | {cost.processor:.1f} | {cost.memory:.0f} |", flush=True)
    return cost


def _sum(costs: Sequence[Cost]) -> Cost:
    return Cost(sum(c.seconds for c in costs), sum(c.processor for c in costs), max(c.memory for c in costs))


def _digest(home: Path) -> str:
    """Of the newest artifact of ingest."""
    manifests = (home / "artifacts" / "ingest").glob("*/manifest.json")
    newest = max(manifests, key=lambda manifest: manifest.stat().st_mtime_ns)
    return str(json.loads(newest.read_bytes())["digest"])


if __name__ == "__main__":
    main()
