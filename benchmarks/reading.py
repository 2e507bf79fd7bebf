"""How fast photographs are read: python -m benchmarks.reading [--images N] [--rounds N] [--size N]

Writes N (20,000) JPEG files of 500 x 375, then reads them, interleaved, in two ways: decoded alone, by Pillow in a
process for each core, and by the stage ingest in an empty home with each filter of ingest.resize, which also lists and
hashes the files, resizes the images, splits them and writes the artifact. Prints images a second, as mean (lowest to
highest) over the rounds, and the share of what decoding alone reaches.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.defaults import spread
from components.progress import progress, say
from tests.conftest import CLEAN, ROOT
from tests.support.generated_images import natural_noise

WIDTH, HEIGHT = 500, 375
CLASSES = ("left", "right")
GROUNDS = 50  # different images; the others are shifted copies of them, each a file of its own
ALONE = "decoding alone"
FILTERS = ("lanczos", "bicubic", "bilinear", "hamming", "box")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000, help="number of files (default: 20,000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement (default: 3)")
    parser.add_argument("--size", type=int, default=96, help="ingest.image_size (default: 96)")
    parser.add_argument("--filters", nargs="+", default=FILTERS, choices=FILTERS, help="values of ingest.resize")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source = photographs(Path(name) / "photographs", options.images)
        rates: dict[str, list[float]] = {way: [] for way in (ALONE, *options.filters)}
        for number in range(options.rounds):
            for way in rates:
                home = Path(name) / f"{number}-{way}"
                seconds = decode(source) if way == ALONE else ingest(source, home, options.size, way)
                rates[way].append(options.images / seconds)
                say(f"round {number + 1}, {way}: {rates[way][-1]:.0f} images a second")
    print("| way | images a second | share |\n|---|---|---|")
    for way, values in rates.items():
        shares = [100 * value / alone for value, alone in zip(values, rates[ALONE], strict=True)]
        print(f"| {way} | {spread(values, 0)} | {spread(shares, 0)} % |")


def photographs(folder: Path, images: int) -> Path:
    """JPEG files with the spectrum of photographs."""
    rng = np.random.default_rng(0)
    grounds = [natural_noise(rng, WIDTH) for _ in range(GROUNDS)]
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
    with progress("writing images", images) as advance:
        for k in range(images):
            shifted = np.roll(grounds[k % GROUNDS], (k // GROUNDS, 3 * (k // GROUNDS)), axis=(0, 1))
            file = folder / CLASSES[k % len(CLASSES)] / f"{k:05d}.jpg"
            Image.fromarray(shifted[:HEIGHT]).save(file, quality=90)
            advance(k + 1)
    return folder


def decode(source: Path) -> float:
    """Seconds to decode all files, one process for each core."""
    files = sorted(map(str, source.rglob("*.jpg")))
    start = time.monotonic()
    with ProcessPoolExecutor() as pool:
        chunks = [files[i : i + 100] for i in range(0, len(files), 100)]
        assert sum(pool.map(decoded, chunks)) == len(files)
    return time.monotonic() - start


def decoded(files: Sequence[str]) -> int:
    for file in files:
        with Image.open(file) as image:
            image.load()
    return len(files)


def ingest(source: Path, home: Path, size: int, resize: str) -> float:
    """Seconds of the whole command."""
    command = [sys.executable, "-m", "pipeline", "stage", "ingest", "--source", str(source)]
    command += ["--set", f"ingest.image_size={size}", "--set", f"ingest.resize={resize}"]
    start = time.monotonic()
    subprocess.run(command, cwd=ROOT, env={**CLEAN, "PIPELINE_HOME": str(home)}, capture_output=True, check=True)
    return time.monotonic() - start


if __name__ == "__main__":
    main()
