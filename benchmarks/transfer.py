"""What transfer learning is worth: python -m benchmarks.transfer [SEEDS], with MNIST_DIR set.

Pretrains the network cnn_bn on MNIST's digits 0 to 4, then trains it on few images of the digits 5 to 9: from scratch,
and from the pretrained weights with frozen epochs and fine-tuning. Prints a row for each number of images a class: the
accuracy on the 4,861 test images of 5 to 9, as mean (lowest to highest) over the seeds.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.mnist import read
from components.data.splits import Split, SplitWriter
from components.models.saving import read_model
from components.settings.sections import Train
from components.train.stage import train

PRETRAINED, VALIDATION = 1000, 40  # images of a class
IMAGES = (10, 50, 200)
SEEDS = 3
COMMON: dict[str, Any] = {
    "model": "cnn_bn",
    "schedule": "onecycle",
    "learning_rate": 0.004,
    "dropout": 0.2,
    "augment": "rotate=10,shift=0.07,zoom=0.1",
    "patience": 99,
}
PRETRAINING: dict[str, Any] = COMMON | {"epochs": 5, "batch_size": 64}
TRAINING: dict[str, Any] = COMMON | {"epochs": 20, "batch_size": 16}
WAYS: dict[str, dict[str, Any] | None] = {  # settings beside train.weights; None: from scratch
    "from scratch": None,
    "transferred": {"frozen_epochs": 5, "finetune_rate": 0.5},
}

Images = tuple[NDArray[np.uint8], NDArray[np.int64]]


def main(folder: Path, seeds: int) -> None:
    training = mnist(folder, "train")
    test = chosen(mnist(folder, "t10k"), range(5, 10), 10_000, seed=0)
    accuracies: dict[tuple[int, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for seed in range(seeds):
            home = Path(name) / str(seed)
            write(home / "first", chosen(training, range(5), PRETRAINED + VALIDATION, seed), test)
            weights = fit(home / "first", home / "pretrained", Train(**PRETRAINING, seed=seed))
            for count in IMAGES:
                data = home / f"{count}-images"
                write(data, chosen(training, range(5, 10), count + VALIDATION, seed), test)
                for way, settings in WAYS.items():
                    started = {"weights": str(weights), **settings} if settings is not None else {}
                    params = Train(**(TRAINING | started), seed=seed)
                    model = fit(data, home / f"{count}-{way}", params, weights if started else None)
                    accuracies.setdefault((count, way), []).append(accuracy(model, Split(data / "test")))
    for count in IMAGES:
        print(" | ".join([f"| {count}", *(shown(accuracies[count, way]) for way in WAYS)]), "|")


def mnist(folder: Path, part: str) -> Images:
    images = read(folder / f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
    return images, read(folder / f"{part}-labels-idx1-ubyte.gz", 8).astype(np.int64)


def chosen(images: Images, digits: range, count: int, seed: int) -> Images:
    """*count* images of each of *digits* at random, one digit after the other in turn; labels from 0."""
    rng, (pixels, labels) = np.random.default_rng(seed), images
    parts = [rng.permutation(np.flatnonzero(labels == digit))[:count] for digit in digits]
    order = np.argsort(np.concatenate([np.arange(len(part)) for part in parts]), kind="stable")
    indices = np.concatenate(parts)[order]
    return pixels[indices], labels[indices] - digits[0]


def write(folder: Path, images: Images, test: Images) -> None:
    """An artifact of normalize; the first VALIDATION images of each class are the validation split."""
    pixels, labels = images
    held_out = VALIDATION * len(np.unique(labels))
    parts = {"validation": slice(held_out), "train": slice(held_out, None)}
    splits = {name: (pixels[part], labels[part]) for name, part in parts.items()} | {"test": test}
    for name, (some, theirs) in splits.items():
        with SplitWriter(folder / name, (28, 28, 1)) as split:
            split.add(some, theirs)
    data: dict[str, object] = {"classes": [*"abcde"], "shape": [28, 28, 1], "mean": [0.1307], "std": [0.3081]}
    data |= {"images": {name: len(theirs) for name, (_, theirs) in splits.items()}, "colour_skill": 1.0}
    (folder / "data.json").write_text(json.dumps(data))


def fit(data: Path, out: Path, params: Train, weights: Path | None = None) -> Path:
    for part in ("out", "work", "logs"):
        (out / part).mkdir(parents=True)
    train(data, out / "out", out / "work", out / "logs", params, weights=weights)
    return out / "out/model.keras"


def accuracy(model: Path, test: Split) -> float:
    predictions = read_model(model).predict(test.images(), batch_size=500, verbose=0).argmax(axis=1)
    return float((predictions == test.labels).mean())


def shown(values: list[float]) -> str:
    return f"{np.mean(values):.1%} ({min(values):.1%} to {max(values):.1%})"


if __name__ == "__main__":
    main(Path(os.environ["MNIST_DIR"]), int((sys.argv[1:] or [str(SEEDS)])[0]))
