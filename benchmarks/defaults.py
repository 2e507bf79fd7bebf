"""What the defaults reach on images that nobody tuned them for: python -m benchmarks.defaults [OPTIONS] [SET...]

Generates each set, runs the whole pipeline on it as a user would, in a process and a home of its own, and prints a row
for each set: the accuracy on the test split and the seconds of the run, as mean (lowest to highest) over the seeds. A
seed gives other images, another validation split and other first weights. mnist-png writes MNIST_DIR's images as PNG.
--set compares a setting with the default.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.mnist import read
from components.progress import progress, say
from tests.support.generated_images import coloured_shapes, grey_textures, shapes_on_noise

SEEDS = 3


class Outcome(NamedTuple):
    state: str  # promoted, or the error with which the run ended
    seconds: float
    correct: int = 0
    images: int = 0

    @property
    def accuracy(self) -> float:
        return 100 * self.correct / self.images


def shapes(folder: Path, seed: int) -> str:
    return str(coloured_shapes(folder / "shapes", 2000, seed))


def few_shapes(folder: Path, seed: int) -> str:
    return str(coloured_shapes(folder / "shapes", 300, seed))


def textures(folder: Path, seed: int) -> str:
    return str(grey_textures(folder / "textures", 1000, seed))


def noise(folder: Path, seed: int) -> str:
    return str(shapes_on_noise(folder / "scenes", 2000, seed))


def dozens(folder: Path, seed: int) -> str:
    return str(coloured_shapes(folder / "shapes", 36, seed, classes=3))


def large(folder: Path, seed: int) -> str:
    return str(shapes_on_noise(folder / "scenes", 1000, seed, side=256, huge=0))


def digits(_folder: Path, _seed: int) -> str:
    return "digits"


def mnist_png(folder: Path, _seed: int) -> str:
    source = Path(os.environ["MNIST_DIR"])
    for part, split in (("train", "train"), ("t10k", "test")):
        images = read(source / f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        labels = read(source / f"{part}-labels-idx1-ubyte.gz", 8)
        for digit in range(10):
            (folder / "mnist-png" / split / str(digit)).mkdir(parents=True)
        with progress(f"writing {split} images", len(images)) as advance:
            for k, (image, label) in enumerate(zip(images, labels, strict=True)):
                Image.fromarray(image).save(folder / "mnist-png" / split / str(label) / f"{k}.png")
                advance(k + 1)
    return str(folder / "mnist-png")


SETS: dict[str, tuple[str, Callable[[Path, int], str]]] = {
    "shapes": ("2,000 coloured shapes, 64x64 RGB, 5 classes", shapes),
    "few-shapes": ("300 coloured shapes, 64x64 RGB, 5 classes", few_shapes),
    "textures": ("1,000 grey textures, 96x96, 4 classes", textures),
    "noise": ("2,000 shapes on natural noise, 100x100 RGB, 10 classes, one file of 3024x3024", noise),
    "large": ("1,000 shapes on natural noise, 256x256 RGB, 10 classes", large),
    "digits": ("the built-in digits, 28x28, 10 classes", digits),
    "dozens": ("36 coloured shapes, 64x64 RGB, 3 classes", dozens),
    "mnist-png": ("MNIST as 70,000 PNG files, 28x28, 10 classes", mnist_png),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"{', '.join(SETS)} (default: all)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"number of runs of each set (default: {SEEDS})")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help="a setting of all runs")
    options = parser.parse_args()
    if unknown := [name for name in options.sets if name not in SETS]:
        parser.error(f"there is no set {', '.join(unknown)}; expected some of {', '.join(SETS)}")
    print("| images | accuracy | seconds |\n|---|---|---|", flush=True)
    for name in options.sets or SETS:
        title, write = SETS[name]
        outcomes = [run(write, seed, options.set, f"{name}, seed {seed}") for seed in range(options.seeds)]
        measured = [outcome.accuracy for outcome in outcomes if outcome.images]
        accuracy = f"{spread(measured, 2)} %" if measured else outcomes[0].state
        print(f"| {title} | {accuracy} | {spread([outcome.seconds for outcome in outcomes], 0)} |", flush=True)


def run(write: Callable[[Path, int], str], seed: int, settings: Sequence[str], label: str) -> Outcome:
    """Run the pipeline with *settings* on the images that *write* makes."""
    with tempfile.TemporaryDirectory() as name:
        source = write(Path(name), seed)
        command = [sys.executable, "-m", "pipeline", "run", "--json", "--source", source]
        command += [f"--set={text}" for text in (f"train.seed={seed}", f"normalize.seed={seed}", *settings)]
        environment = {**os.environ, "PIPELINE_HOME": str(Path(name) / "home")}
        start = time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - start
        state = "promoted" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]
        outcome = Outcome(state, seconds)
        for metrics in (Path(name) / "home" / "artifacts" / "evaluate").glob("*/metrics.json"):
            measured = json.loads(metrics.read_text())
            outcome = Outcome(state, seconds, measured["correct"], measured["n"])
    say(f"{label}: {outcome.correct} of {outcome.images} right, {seconds:.0f} s: {state}")
    return outcome


def spread(values: list[float], digits: int) -> str:
    return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
