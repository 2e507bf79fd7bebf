"""Exported files, run and timed on a whole split by the runtime that runs them where they are used.

python -m components.export.benchmark RUNTIME SPLIT FOLDER FILE...     writes the probabilities of each file, float32
                                                                (N, classes), to FOLDER/0.npy, 1.npy, ... and prints
                                                                [{"median_ms": ..., "p99_ms": ...}, ...]

Each runtime has a process of its own, as it will have there: LiteRT and ONNX Runtime without TensorFlow. The files of
one runtime are timed interleaved, so that what slows the machine for a while slows them all: a ratio of two times holds
where the times themselves do not.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.data.splits import Split
from components.errors import ExportRejected, Failure, Unavailable
from components.inference.runtimes import NAMES, load
from components.models.prediction import Predictor, Probabilities, predict

BATCH_SIZE = 256
STOPPED = (os.EX_TEMPFAIL, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)  # exit statuses
ROUNDS, WARM_UP, TIMED = 10, 5, 30  # single images; WARM_UP untimed ones precede the TIMED ones of a file in each round


@dataclass(frozen=True)
class Measurement:
    """Probabilities of every image, float32 (N, classes), and the milliseconds for one image on one thread."""

    probabilities: Probabilities
    median_ms: float
    p99_ms: float


def benchmark(runtime: str, files: Sequence[Path], split: Path) -> list[Measurement]:
    """A measurement of each of *files*; raises ExportRejected where *runtime* cannot run one.

    Raises Unavailable where the machine stopped it: for want of memory, by a signal, or by an error of its disk.
    """
    root = Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(path.absolute()) for path in (split, Path(folder), *files)]
        command = [sys.executable, "-m", "components.export.benchmark", runtime, *paths]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise _failure(runtime, done.returncode, done.stderr)
        times = json.loads(done.stdout.splitlines()[-1])
        parts = [np.load(Path(folder, f"{number}.npy"), allow_pickle=False) for number in range(len(files))]
        return [Measurement(part, **row) for part, row in zip(parts, times, strict=True)]


def _failure(runtime: str, status: int, errors: str) -> Failure:
    reason = (errors.strip().splitlines() or [f"a file: it ended with exit status {status}"])[-1][:1000]
    if status in STOPPED:
        names = f" by {signal.Signals(-status).name}" if status < 0 else f": {reason}"
        return Unavailable(f"{NAMES[runtime]} was stopped{names}; run it again: what was finished is kept")
    return ExportRejected(f"{NAMES[runtime]} cannot run {reason}")


def latencies(models: Sequence[Predictor], split: Split) -> list[dict[str, float]]:
    """Median and 99th percentile of the milliseconds that each model takes for one image, the models interleaved."""
    taken: list[list[float]] = [[] for _ in models]
    for turn in range(ROUNDS):
        for model, seconds in zip(models, taken, strict=True):
            first = turn * TIMED
            seconds.extend([_seconds(model, split, i) for i in range(first - WARM_UP, first + TIMED)][WARM_UP:])
    return [
        {"median_ms": 1e3 * float(np.median(seconds)), "p99_ms": 1e3 * float(np.quantile(seconds, 0.99))}
        for seconds in taken
    ]


def _seconds(model: Predictor, split: Split, number: int) -> float:
    image = split.take(np.array([number % len(split)]))
    start = time.perf_counter()
    model(image)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runtime", choices=NAMES)
    parser.add_argument("split", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    args = parser.parse_args()
    split, models = Split(args.split), list[Predictor]()
    for number, file in enumerate(args.files):
        try:
            model = load(args.runtime, file, threads=os.cpu_count() or 1)
            np.save(args.folder / f"{number}.npy", predict(model, split, BATCH_SIZE))
            models.append(load(args.runtime, file, threads=1))
        except Exception as error:  # whatever a runtime raises for a file that it cannot run
            sys.stderr.write(f"{file.name}: {' '.join(str(error).split()) or type(error).__name__}\n")
            of_machine = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None)
            sys.exit(os.EX_TEMPFAIL if of_machine else 1)
    if args.runtime != "tensorflow" and "tensorflow" in sys.modules:
        raise RuntimeError("TensorFlow was loaded: this would not measure what a phone computes")
    sys.stdout.write(json.dumps(latencies(models, split)) + "\n")


if __name__ == "__main__":
    main()
