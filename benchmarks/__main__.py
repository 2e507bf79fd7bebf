"""python -m benchmarks [--quick]: measure, print each result with its spread, and write all to bench-results/.

Needs MNIST_DIR. What is compared runs interleaved, in the same minutes, so that a busy machine slows both.
"""

import argparse
import gzip
import json
import os
import platform
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.conftest import CLEAN, ROOT

MEGABYTE = 2**20
PARTS = ("data", "augmentation", "epoch", "cold")


# The plain script trains the same network, without augmentation, and evaluates its accuracy alone.
PLAIN = ("--set", "train.augment=none", "--set", "evaluate.corruption_images=0")


@dataclass(frozen=True)
class Timed:
    seconds: float
    peak: int  # bytes of memory of the largest process
    out: str


# The peak of a process includes that of the process it was forked from, so a small one starts it.
LAUNCHER = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""


def timed(*arguments: str, home: Path | None = None) -> Timed:
    """Run a Python process to its end and measure it."""
    environment = {**CLEAN, "MNIST_DIR": os.environ["MNIST_DIR"], **({"PIPELINE_HOME": str(home)} if home else {})}
    with tempfile.NamedTemporaryFile() as peak:
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-S", "-c", LAUNCHER, peak.name, sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - start
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
        return Timed(seconds, int(Path(peak.name).read_text()) * 1024, done.stdout)


def pipeline(home: Path, *arguments: str) -> tuple[Timed, dict[str, Any]]:
    done = timed("-m", "pipeline", "run", "--json", *arguments, home=home)
    return done, json.loads(done.out)


def cold_runs(folder: Path, rounds: int, settings: list[str]) -> Iterator[dict[str, Any]]:
    """The whole pipeline on an empty home and the plain script, interleaved, with another seed in each round.

    Yields the results after each round, so that a benchmark that is interrupted keeps some.
    """
    rows: list[dict[str, Any]] = []
    for seed in range(rounds):
        home = folder / f"cold-{seed}"
        ours, answer = pipeline(home, "--source", "mnist", "--set", f"train.seed={seed}", *PLAIN, *settings)
        trained = next(stage["path"] for stage in answer["stages"] if stage["stage"] == "train")
        epochs = json.loads((Path(trained) / "summary.json").read_text())["epochs"]
        plain = timed("-m", "benchmarks.plain_keras", os.environ["MNIST_DIR"], str(epochs), str(seed), str(folder))
        theirs = json.loads(plain.out)["accuracy"]
        row = {"seed": seed, "epochs": epochs, "ours": ours.seconds, "plain": plain.seconds, "peak": ours.peak}
        row |= {"ratio": ours.seconds / plain.seconds, "accuracy": answer["accuracy"], "plain_accuracy": theirs}
        row["stages"] = {stage["stage"]: stage["seconds"] for stage in answer["stages"]}
        log(f"round {seed}: {ours.seconds:.1f} s, plain {plain.seconds:.1f} s, accuracy {answer['accuracy']:.4f}")
        rows.append(row)
        known = {name: spread([row[name] for row in rows]) for name in ("ratio", "accuracy")}
        yield {"rounds": list(rows), **known}


def nothing_to_do(folder: Path, rounds: int, settings: list[str]) -> dict[str, Any]:
    """A run with nothing to do, compared with the start of the interpreter alone."""
    home = folder / "cold-0"
    ours, bare = [], []
    for _ in range(rounds):
        ours.append(pipeline(home, "--source", "mnist", "--set", "train.seed=0", *PLAIN, *settings)[0])
        bare.append(timed("-c", "pass").seconds)
    seconds, peak = [run.seconds for run in ours], max(run.peak for run in ours)
    return {"seconds": spread(seconds), "python_starts": spread(ratio(seconds, bare)), "peak": peak}


def data_stages(folder: Path, rounds: int) -> dict[str, Any]:
    """Ingest, validate and normalize: MNIST as published, the same as raw files, and ten times the images."""
    sources = {"published": "mnist", "raw": str(more_images(folder, 1)), "ten times": str(more_images(folder, 10))}
    results: dict[str, list[Timed]] = {name: [] for name in sources}
    for number in range(rounds):
        for name, source in sources.items():
            home = folder / f"data-{number}"
            done, _ = pipeline(home, "--source", source, "--until", "normalize")
            results[name].append(done)
            log(f"{name}: {done.seconds:.1f} s, {done.peak / MEGABYTE:.0f} MB")
            shutil.rmtree(home)
    seconds = {name: [run.seconds for run in runs] for name, runs in results.items()}
    peaks = {name: max(run.peak for run in runs) for name, runs in results.items()}
    ten_times = spread(ratio(seconds["ten times"], seconds["raw"]))
    return {"seconds": {n: spread(s) for n, s in seconds.items()}, "peak": peaks, "ten_times_ratio": ten_times}


def augmentation(rounds: int) -> dict[str, Any]:
    """Epochs with every kind of augmentation and epochs without, interleaved."""
    done = timed("-m", "benchmarks.augmented", os.environ["MNIST_DIR"], str(rounds))
    seconds = json.loads(done.out)
    cost = spread(ratio(seconds["augmented"], seconds["plain"]))
    return {"seconds": {name: spread(values) for name, values in seconds.items()}, "ratio": cost}


def epochs(rounds: int) -> dict[str, Any]:
    """An epoch of the pipeline, with and without its augmentation, and one of a plain `fit`, interleaved."""
    kinds = {"plain": ["plain"], "bare": ["train.augment=none"], "default": []}
    seconds = interleaved(kinds, rounds, 30_000)
    ratios = {name: spread(ratio(seconds[name], seconds["plain"])) for name in ("bare", "default")}
    return {"seconds": {name: spread(values) for name, values in seconds.items()}, "ratio": ratios}


def interleaved(kinds: Mapping[str, Sequence[str]], rounds: int, images: int) -> dict[str, list[float]]:
    """The seconds of an epoch on *images* with the settings of each of *kinds*, one after the other, *rounds* times."""
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, settings in kinds.items():
            done = timed("-m", "benchmarks.epoch", os.environ["MNIST_DIR"], str(images), *settings)
            seconds[name].append(float(done.out))
            log(f"an epoch, {name}: {seconds[name][-1]:.1f} s")
    return seconds


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """*ours* by *theirs*, round by round."""
    return [numerator / denominator for numerator, denominator in zip(ours, theirs, strict=True)]


def more_images(folder: Path, times: int) -> Path:
    """MNIST's images *times* over as raw IDX files, each further copy with other faint noise."""
    out = folder / f"images-x{times}"
    out.mkdir()
    noise = np.random.default_rng(0)
    for part in ("train", "t10k"):
        for kind, header in (("images-idx3", 16), ("labels-idx1", 8)):
            with gzip.open(Path(os.environ["MNIST_DIR"], f"{part}-{kind}-ubyte.gz")) as file:
                content = file.read()
            values = np.frombuffer(content, np.uint8, offset=header)
            count = struct.pack(">I", times * int.from_bytes(content[4:8], "big"))
            with (out / f"{part}-{kind}-ubyte").open("wb") as file:
                file.write(content[:4] + count + content[8:header])
                for copy in range(times):
                    faint = noise.integers(0, 5, len(values), dtype=np.uint8) if copy and header == 16 else 0
                    file.write((values - np.minimum(values, faint)).astype(np.uint8).tobytes())
    return out


def spread(values: list[float]) -> dict[str, float]:
    return {"mean": statistics.mean(values), "lowest": min(values), "highest": max(values), "rounds": len(values)}


def main() -> None:
    arguments = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    arguments.add_argument(
        "--quick", action="store_true", help="one round of one epoch: shows that it works, not how fast"
    )
    arguments.add_argument("--only", default="", choices=["", *PARTS], help="a single part")
    arguments.add_argument("--rounds", type=int, default=3, help="rounds of each measurement, with a seed each (3)")
    options = arguments.parse_args()
    if not os.environ.get("MNIST_DIR"):
        raise SystemExit("the measurements need MNIST: MNIST_DIR=FOLDER make bench")
    rounds, settings = options.rounds, []
    if options.quick:
        rounds, settings = 1, ["--set", "train.epochs=1", "--set", "gate.min_accuracy=0.9"]
    folder = ROOT / "bench-results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    results: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory() as name:
        for part, figures in measured(Path(name), rounds, settings, options.only):
            results[part] = figures
            path.write_text(json.dumps(results, indent=2) + "\n")
    print(text(results))
    print(f"\nwritten to {path.relative_to(ROOT)}")


def measured(folder: Path, rounds: int, settings: list[str], only: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if only in ("", "data"):
        log(f"data stages: three sources, {rounds} rounds of half a minute")
        yield "data_stages", data_stages(folder, rounds)
    if only in ("", "augmentation"):
        log(f"augmentation: {3 * rounds} rounds of five seconds")
        yield "augmentation", augmentation(3 * rounds)
    if only in ("", "epoch"):
        log(f"epochs against plain Keras: {rounds} rounds of a minute")
        yield "epochs", epochs(rounds)
    if only in ("", "cold"):
        log(f"cold runs against plain Keras: {rounds} rounds of about ten minutes on two cores")
        for so_far in cold_runs(folder, rounds, settings):
            yield "cold", so_far
        yield "nothing_to_do", nothing_to_do(folder, 5, settings)


def text(results: dict[str, Any]) -> str:
    """The results with their spread and targets."""
    rows = []
    if data := results.get("data_stages"):
        for name, seconds in data["seconds"].items():
            rows.append((f"data stages, {name}", shown(seconds, "s"), f"peak {data['peak'][name] / MEGABYTE:.0f} MB"))
        rows.append(("ten times the images", shown(data["ten_times_ratio"], "x"), "at most 11"))
    if augmented := results.get("augmentation"):
        rows.append(("epoch with every augmentation", shown(augmented["ratio"], "x"), "at most 1.3"))
    if trained := results.get("epochs"):
        rows.append(("epoch against a plain fit", shown(trained["ratio"]["default"], "x"), "float32, batches of 64"))
        rows.append(("the same without augmentation", shown(trained["ratio"]["bare"], "x"), ""))
    if cold := results.get("cold"):
        rows.append(("cold run against plain Keras", shown(cold["ratio"], "x"), "at most 1.25"))
        rows.append(("accuracy on MNIST", shown(cold["accuracy"], "", 4), "mean at least 0.992"))
    if nothing := results.get("nothing_to_do"):
        rows.append(("nothing to do", shown(nothing["seconds"], "s"), "at most 3 s"))
        rows.append(("nothing to do against python -c pass", shown(nothing["python_starts"], "x"), ""))
    return "\n".join(f"{name:<38} {value:<34} {note}".rstrip() for name, value, note in rows)


def shown(values: dict[str, float], unit: str, digits: int = 2) -> str:
    mean, low, high = (f"{values[name]:.{digits}f}" for name in ("mean", "lowest", "highest"))
    return f"{mean} {unit} ({low} to {high})".replace("  ", " ")


def machine() -> dict[str, Any]:
    from pipeline.report.content import versions

    return {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "versions": versions()}


def log(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
