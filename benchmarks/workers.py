"""Cost and accuracy of distributed training: python -m benchmarks.workers [WORKERS], with MNIST_DIR set.

Trains the profile `fast` on MNIST with one and with WORKERS (2) workers of this machine, and prints the accuracy of
each on the test images; then, in three epochs each, the seconds of an epoch (the shorter of the last two, as the first
warms up) and by how many milliseconds a step takes longer in a distributed training.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.conftest import CLEAN, ROOT

IMAGES, BATCH = 54_000, 128


def main(workers: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        for count in (1, workers):
            answer = run(Path(home), count, "evaluate")
            print(f"{count} workers: {answer['accuracy']:.2%} of the test images, profile fast")
        single, several = (epoch(Path(home), count) for count in (1, workers))
    step = (several - single) / math.ceil(IMAGES / BATCH) * 1000
    print(f"an epoch: {single:.1f} s with one worker, {several:.1f} s with {workers}, {several / single:.2f} times")
    print(f"a distributed step takes {step:.1f} ms longer")


def run(home: Path, workers: int, until: str, *settings: str) -> dict[str, Any]:
    """The result of a run of the profile fast up to the stage *until*."""
    chosen = [part for text in (f"train.workers={workers}", *settings) for part in ("--set", text)]
    arguments = ["--json", "--source", "mnist", "--config", "fast", "--until", until, *chosen]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "run", *arguments],
        cwd=ROOT,
        env={**CLEAN, "MNIST_DIR": os.environ["MNIST_DIR"], "PIPELINE_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def epoch(home: Path, workers: int) -> float:
    """Seconds of an epoch."""
    answer = run(home, workers, "train", "train.epochs=3")
    [train] = [stage for stage in answer["stages"] if stage["stage"] == "train"]
    facts = json.loads((Path(train["path"]) / "manifest.json").read_bytes())["facts"]
    return float(min(facts["epoch_seconds"][1:]))


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["2"])[0]))
