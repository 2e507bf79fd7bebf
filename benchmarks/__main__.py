"""python -m benchmarks [--quick]: measure, print each figure with its spread, keep all in bench-results/.

Needs MNIST_DIR. What is compared runs by turns in the same minutes, so that a busy machine is busy for both.
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


# What the plain script does not do either: it trains the same network, without augmentation, and looks at nothing else.
PLAIN = ("--set", "train.augment=none", "--set", "evaluate.corruption_images=0")


@dataclass(frozen=True)
class Timed:
    seconds: float
    peak: int  # bytes of memory of the largest process
    out: str


# A process's peak counts that of the process it was forked from, so a small one stands between this one and it.
LAUNCHER = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""


def timed(*arguments: str, home: Path | None = None) -> Timed:
    """Run a Python process to its end and tell what it took."""
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
    """The whole pipeline on an empty home against the plain script, by turns, another seed each round.

    Yields what is known after each round, so that an end before the last one leaves something.
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
        tell(f"round {seed}: {ours.seconds:.1f} s, plain {plain.seconds:.1f} s, accuracy {answer['accuracy']:.4f}")
        rows.append(row)
        known = {name: spread([row[name] for row in rows]) for name in ("ratio", "accuracy")}
        yield {"rounds": list(rows), **known}


def nothing_to_do(folder: Path, rounds: int, settings: list[str]) -> dict[str, Any]:
    """The run that finds everything made, against the start of the interpreter alone."""
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
    found: dict[str, list[Timed]] = {name: [] for name in sources}
    for number in range(rounds):
        for name, source in sources.items():
            home = folder / f"data-{number}"
            done, _ = pipeline(home, "--source", source, "--until", "normalize")
            found[name].append(done)
            tell(f"{name}: {done.seconds:.1f} s, {done.peak / MEGABYTE:.0f} MB")
            shutil.rmtree(home)
    seconds = {name: [run.seconds for run in runs] for name, runs in found.items()}
    peaks = {name: max(run.peak for run in runs) for name, runs in found.items()}
    ten_times = spread(ratio(seconds["ten times"], seconds["raw"]))
    return {"seconds": {n: spread(s) for n, s in seconds.items()}, "peak": peaks, "ten_times_ratio": ten_times}


def augmentation(rounds: int) -> dict[str, Any]:
    """Epochs with every kind of augmentation against epochs without, by turns."""
    done = timed("-m", "benchmarks.augmented", os.environ["MNIST_DIR"], str(rounds))
    seconds = json.loads(done.out)
    cost = spread(ratio(seconds["augmented"], seconds["plain"]))
    return {"seconds": {name: spread(values) for name, values in seconds.items()}, "ratio": cost}


def epochs(rounds: int) -> dict[str, Any]:
    """An epoch of the pipeline, with and without its augmentation, against one of a plain `fit`, by turns."""
    kinds = {"plain": ["plain"], "bare": ["train.augment=none"], "default": []}
    seconds = by_turns(kinds, rounds, 30_000)
    ratios = {name: spread(ratio(seconds[name], seconds["plain"])) for name in ("bare", "default")}
    return {"seconds": {name: spread(values) for name, values in seconds.items()}, "ratio": ratios}


def by_turns(kinds: Mapping[str, Sequence[str]], rounds: int, images: int) -> dict[str, list[float]]:
    """The seconds of an epoch on so many images with the settings of each of *kinds*, one after the other, each
    *rounds* times."""
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, settings in kinds.items():
            done = timed("-m", "benchmarks.epoch", os.environ["MNIST_DIR"], str(images), *settings)
            seconds[name].append(float(done.out))
            tell(f"an epoch, {name}: {seconds[name][-1]:.1f} s")
    return seconds


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """One by the other, round by round."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def more_images(folder: Path, times: int) -> Path:
    """MNIST's images *times* over as raw IDX files, each further copy with a faint noise of its own."""
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
        "--quick", action="store_true", help="one round of one epoch: whether it works, not how fast"
    )
    arguments.add_argument("--only", default="", choices=["", *PARTS], help="one part alone")
    arguments.add_argument("--rounds", type=int, default=3, help="how often each is measured, with another seed (3)")
    options = arguments.parse_args()
    if not os.environ.get("MNIST_DIR"):
        raise SystemExit("the measurements need MNIST: MNIST_DIR=FOLDER make bench")
    rounds, settings = options.rounds, []
    if options.quick:
        rounds, settings = 1, ["--set", "train.epochs=1", "--set", "gate.min_accuracy=0.9"]
    results = ROOT / "bench-results"
    results.mkdir(exist_ok=True)
    path = results / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    found: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory() as name:
        for part, figures in measured(Path(name), rounds, settings, options.only):
            found[part] = figures
            path.write_text(json.dumps(found, indent=2) + "\n")
    print(text(found))
    print(f"\nwritten to {path.relative_to(ROOT)}")


def measured(folder: Path, rounds: int, settings: list[str], only: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if only in ("", "data"):
        tell(f"data stages: three sources, {rounds} rounds of half a minute")
        yield "data_stages", data_stages(folder, rounds)
    if only in ("", "augmentation"):
        tell(f"augmentation: {3 * rounds} rounds of five seconds")
        yield "augmentation", augmentation(3 * rounds)
    if only in ("", "epoch"):
        tell(f"epochs against plain Keras: {rounds} rounds of a minute")
        yield "epochs", epochs(rounds)
    if only in ("", "cold"):
        tell(f"cold runs against plain Keras: {rounds} rounds of about ten minutes on two cores")
        for so_far in cold_runs(folder, rounds, settings):
            yield "cold", so_far
        yield "nothing_to_do", nothing_to_do(folder, 5, settings)


def text(found: dict[str, Any]) -> str:
    """The figures with their spread, and what they are held against."""
    rows = []
    if data := found.get("data_stages"):
        for name, seconds in data["seconds"].items():
            rows.append((f"data stages, {name}", shown(seconds, "s"), f"peak {data['peak'][name] / MEGABYTE:.0f} MB"))
        rows.append(("ten times the images", shown(data["ten_times_ratio"], "x"), "at most 11"))
    if augmented := found.get("augmentation"):
        rows.append(("epoch with every augmentation", shown(augmented["ratio"], "x"), "at most 1.3"))
    if trained := found.get("epochs"):
        rows.append(("epoch against a plain fit", shown(trained["ratio"]["default"], "x"), "float32, batches of 64"))
        rows.append(("the same without augmentation", shown(trained["ratio"]["bare"], "x"), ""))
    if cold := found.get("cold"):
        rows.append(("cold run against plain Keras", shown(cold["ratio"], "x"), "at most 1.25"))
        rows.append(("accuracy on MNIST", shown(cold["accuracy"], "", 4), "mean at least 0.992"))
    if nothing := found.get("nothing_to_do"):
        rows.append(("nothing to do", shown(nothing["seconds"], "s"), "at most 3 s"))
        rows.append(("nothing to do against python -c pass", shown(nothing["python_starts"], "x"), ""))
    return "\n".join(f"{name:<38} {value:<34} {note}".rstrip() for name, value, note in rows)


def shown(values: dict[str, float], unit: str, digits: int = 2) -> str:
    mean, low, high = (f"{values[name]:.{digits}f}" for name in ("mean", "lowest", "highest"))
    return f"{mean} {unit} ({low} to {high})".replace("  ", " ")


def machine() -> dict[str, Any]:
    from pipeline.report.content import versions

    return {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "versions": versions()}


def tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
