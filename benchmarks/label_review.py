"""What a review of labels is worth: python -m benchmarks.label_review [--source mnist --images 10000] [--seeds N]

Labels of training and test images are made wrong at random, the pipeline is run, the suspected labels are reviewed, and
the pipeline is run again: after a review that follows the first proposal for every suspect, and after one by somebody
who knows the right labels. Printed are, as mean (lowest to highest) over the seeds, the accuracy on the right labels of
all test images before and after, beside what the runs report, and that of a run in which no label was wrong; how many
wrong labels were suspected, and how many of those suspected were wrong. Each seed gives other wrong labels, another
validation split and other first weights.

The wrong labels are themselves corrections, from right to wrong, and so are the images that --images leaves out: any
source can be measured, and none is copied or changed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.defaults import spread
from components.data import problems
from components.data.corrections import append, image_ids
from components.data.splits import Split
from components.progress import say
from pipeline.review.images import IngestedImages
from pipeline.review.queue import Item, Queue

SEEDS, SHARE = 5, 0.03
SPLITS = ("train", "test")

Labels = dict[str, str]  # by the identity of the image


@dataclass(frozen=True)
class Images:
    """The images of a source that take part, with their right labels, by split; *left_out* are the others."""

    classes: list[str]
    labels: dict[str, Labels]
    left_out: Labels

    @property
    def right(self) -> Labels:
        return {image: label for of_split in self.labels.values() for image, label in of_split.items()}


class Found(NamedTuple):
    """Of one split: suspected labels, those of them that are wrong, those with the right class proposed, wrong ones."""

    suspected: int
    wrong: int
    right_class: int
    all_wrong: int


class Accuracy(NamedTuple):
    """Of one run, in percent: on the right labels of the test images, and on those that it had."""

    right: float
    reported: float


class Outcome(NamedTuple):
    """Of a run in which no label was wrong, one in which some were, and one after each review."""

    clean: Accuracy
    before: Accuracy
    followed: Accuracy
    known: Accuracy
    found: dict[str, Found]


@dataclass(frozen=True)
class Bench:
    """Runs of the pipeline on one source, in the workspace *home*."""

    source: str
    settings: Sequence[str]
    home: Path

    def run(self, until: str, corrections: Path | str = "", seed: int = 0) -> dict[str, Path]:
        """The folder of each stage's artifact."""
        settings = [f"ingest.corrections={corrections}", f"train.seed={seed}", f"normalize.seed={seed}", *self.settings]
        settings.append("gate.min_accuracy=0")  # which wrong labels would fail
        command = [sys.executable, "-m", "pipeline", "run", "--json", "--until", until, "--source", self.source]
        done = subprocess.run(
            [*command, *(f"--set={text}" for text in settings)],
            env={**os.environ, "PIPELINE_HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        return {stage["stage"]: Path(stage["path"]) for stage in json.loads(done.stdout)["stages"]}

    def images(self, most: int) -> Images:
        """The source's images, the first *most* of them, as many of each split as its share; 0: all."""
        ingest = self.run("ingest")["ingest"]
        classes: list[str] = json.loads((ingest / "source.json").read_bytes())["classes"]
        whole = {split: _labels(ingest, split, classes) for split in SPLITS}
        share = min(1.0, most / sum(map(len, whole.values()))) if most else 1.0
        kept = {split: dict(list(labels.items())[: round(share * len(labels))]) for split, labels in whole.items()}
        right = Images(classes, kept, {}).right
        left_out = {i: label for labels in whole.values() for i, label in labels.items() if i not in right}
        return Images(classes, kept, left_out)


def _labels(ingest: Path, split: str, classes: Sequence[str]) -> Labels:
    numbers = Split(ingest / split).labels.tolist()
    return {image: classes[number] for image, number in zip(image_ids(ingest, split), numbers, strict=True)}


def measure(bench: Bench, images: Images, seed: int, share: float) -> Outcome:
    """Four trainings: without wrong labels, with them, and after either review."""
    names = ("clean", "wrong", "followed", "known")
    clean, wrong, followed, known = (bench.home / f"{name}-{seed}.jsonl" for name in names)
    flipped, right = flip(images, seed, share), images.right
    for file in (clean, wrong):
        write(file, ((image, label, None) for image, label in images.left_out.items()))
    write(wrong, ((image, right[image], label) for image, label in flipped.items()))
    artifacts = bench.run("evaluate", wrong, seed)
    suspected = suspects(artifacts, images.classes)
    for file in (followed, known):
        shutil.copy(wrong, file)
    for item in suspected:
        for image, label in item.labels:
            append(followed, image, label, item.proposal)
            append(known, image, label, right[image])
    before, after = accuracy(artifacts, images), {}
    for file in (clean, followed, known):
        after[file] = accuracy(bench.run("evaluate", file, seed), images)
    found = {split: judged(suspected, split, images, flipped) for split in SPLITS}
    return Outcome(after[clean], before, after[followed], after[known], found)


def flip(images: Images, seed: int, share: float) -> Labels:
    """Another class, drawn at random, for *share* of the images of each split."""
    rng, flipped = np.random.default_rng(seed), Labels()
    for labels in images.labels.values():
        known = list(labels)
        for place in rng.choice(len(known), round(share * len(known)), replace=False).tolist():
            others = [name for name in images.classes if name != labels[known[place]]]
            flipped[known[place]] = others[int(rng.integers(len(others)))]
    return flipped


def write(file: Path, decisions: Iterable[tuple[str, str, str | None]]) -> None:
    """Append many decisions at once: (image, old, new)."""
    with file.open("a") as out:
        out.writelines(json.dumps({"sha256": i, "old": old, "new": new}) + "\n" for i, old, new in decisions)


def suspects(artifacts: dict[str, Path], classes: Sequence[str]) -> list[Item]:
    """What the review would ask about as suspected labels, and propose another class for."""
    queue = Queue(IngestedImages(artifacts["ingest"], artifacts["normalize"], classes), classes)
    queue.add(problems.read(artifacts["evaluate"]), problems.read(artifacts["validate"]))
    return [
        item
        for item in queue.items.values()
        if item.proposal and any(reason.kind == "suspect" for reason in item.reasons)
    ]


def judged(suspected: Iterable[Item], split: str, images: Images, flipped: Labels) -> Found:
    """How many of *suspected* in *split* of ingest are right, of the labels that were *flipped*."""
    of_split = [item for item in suspected if item.place and item.place.split == split]
    wrong = [item for item in of_split if item.id in flipped]
    right_class = sum(item.proposal == images.right[item.id] for item in wrong)
    return Found(len(of_split), len(wrong), right_class, sum(image in images.labels[split] for image in flipped))


def accuracy(artifacts: dict[str, Path], images: Images) -> Accuracy:
    number = {name: label for label, name in enumerate(images.classes)}
    right = [number[images.right[image]] for image in image_ids(artifacts["ingest"], "test")]
    predicted = np.load(artifacts["evaluate"] / "predictions.npy").argmax(axis=1)
    reported = json.loads((artifacts["evaluate"] / "metrics.json").read_bytes())["accuracy"]
    return Accuracy(100 * float((predicted == np.array(right)).mean()), 100 * reported)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="digits", help="whose labels are made wrong (default: digits)")
    parser.add_argument(
        "--images", type=int, default=0, help="take only so many, the first of both splits (default: all)"
    )
    parser.add_argument("--share", type=float, default=SHARE, help=f"of labels that are made wrong (default: {SHARE})")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"number of repetitions (default: {SEEDS})")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help="a setting of all runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.source, options.set, Path(folder))
        images = bench.images(options.images)
        counts = " and ".join(f"{len(images.labels[split]):,} {split}" for split in SPLITS)
        outcomes = []
        for seed in range(options.seeds):
            outcomes.append(measure(bench, images, seed, options.share))
            say(f"seed {seed}: {outcomes[-1]}")
    print(f"{options.source}, {counts} images, {100 * options.share:g} % of the labels wrong, {options.seeds} seeds")
    print(table(outcomes))


def table(outcomes: Sequence[Outcome]) -> str:
    """The rows of docs/evaluation.md."""
    runs = {
        "no label wrong": [outcome.clean for outcome in outcomes],
        "before the review": [outcome.before for outcome in outcomes],
        "proposals followed": [outcome.followed for outcome in outcomes],
        "reviewed by somebody who knows": [outcome.known for outcome in outcomes],
    }
    rows = []
    for name, accuracies in runs.items():
        right, reported = ([run[k] for run in accuracies] for k in (0, 1))
        rows.append(f"| accuracy, {name} | {spread(right, 2)} %; as the run reports it {spread(reported, 2)} % |")
    for split in SPLITS:
        of_split = [outcome.found[split] for outcome in outcomes]
        found = [100 * each.wrong / max(1, each.all_wrong) for each in of_split]
        precise = [100 * each.wrong / max(1, each.suspected) for each in of_split]
        proposed = sum(each.right_class for each in of_split), sum(each.wrong for each in of_split)
        rows += [
            f"| {split}: wrong labels that are suspected | {spread(found, 0)} % of {of_split[0].all_wrong} |",
            f"| {split}: suspected labels that are wrong | {spread(precise, 0)} % |",
            f"| {split}: wrong labels for which the right class is proposed | {proposed[0]} of {proposed[1]} |",
        ]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
