"""How fast predict answers: python -m benchmarks.predict [--home HOME] [--images N] [--rounds N]

HOME is that of a registered model; without it, a tiny one answers. Measures, interleaved, as mean (lowest to highest):

start        seconds of a process that answers for one picture, beside one that imports NumPy alone
photographs  images a second of a folder of N (2,000) JPEG files of 500 x 375, beside decoding alone
idx          images a second of inference, of an IDX file of 10,000 images of 28 x 28, as the command itself says
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.defaults import spread
from benchmarks.reading import decode, photographs
from components.progress import say
from tests.conftest import CLEAN, ROOT
from tests.support import idx_files, published_model

IDX_IMAGES, SIDE = 10_000, 28
INFERENCE = re.compile(r"inference ([\d.]+)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, help="a workspace with a champion (default: a tiny model)")
    parser.add_argument("--images", type=int, default=2000, help="number of photographs (default: 2,000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement (default: 3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = options.home or _tiny(folder / "home")
        source, idx = photographs(folder / "photographs", options.images), _idx(folder / "images")
        rates: dict[str, list[float]] = {}
        for number in range(options.rounds):
            for what, rate in _measured(home, source, idx, options.images).items():
                rates.setdefault(what, []).append(rate)
                say(f"round {number + 1}, {what}: {rate:.3g}")
    print("| what | measured |\n|---|---|")
    for what, values in rates.items():
        print(f"| {what} | {spread(values, 2 if values[0] < 10 else 0)} |")


def _measured(home: Path, source: Path, idx: Path, images: int) -> dict[str, float]:
    picture = next(source.rglob("*.jpg"))
    inference = INFERENCE.search(_predict(home, idx)[1])
    assert inference
    return {
        "start: NumPy alone, seconds": _timed("-c", "import numpy")[0],
        "start: one picture, seconds": _predict(home, picture)[0],
        "photographs: decoding alone, images a second": images / decode(source),
        "photographs: predict, images a second": images / _predict(home, source)[0],
        "idx: inference, images a second": IDX_IMAGES / max(0.05, float(inference[1])),
    }


def _predict(home: Path, source: Path) -> tuple[float, str]:
    return _timed("-m", "pipeline", "predict", str(source), home=home)


def _timed(*arguments: str, home: Path | None = None) -> tuple[float, str]:
    """The seconds of a Python process, and what it says on standard error."""
    start = time.monotonic()
    environment = {**CLEAN, "PIPELINE_HOME": str(home)}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, check=True)
    return time.monotonic() - start, done.stderr.decode()


def _tiny(home: Path) -> Path:
    home.mkdir()
    published_model.champion(home, (SIDE, SIDE, 1))
    return home


def _idx(file: Path) -> Path:
    file.write_bytes(idx_files.idx(np.random.default_rng(0).integers(0, 256, (IDX_IMAGES, SIDE, SIDE), np.uint8)))
    return file


if __name__ == "__main__":
    main()
