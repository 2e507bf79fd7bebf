"""The built-in digits as normalize leaves them, with labels made wrong on purpose where a test asks for it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.splits import SplitWriter
from components.ingest.sources import digits
from components.settings.sections import Ingest

HELD_OUT = 145

# A training that is quick and has nothing wrong with it.
SOUND: dict[str, Any] = {
    "model": "dense",
    "epochs": 6,
    "batch_size": 32,
    "dropout": 0.2,
    "learning_rate": 0.002,
    "augment": "",
}


def flipped(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """*labels* with a *share* of them, by lot, moved to another of the ten classes."""
    random = np.random.default_rng(seed)
    wrong = random.permutation(len(labels))[: round(share * len(labels))]
    labels = labels.copy()
    labels[wrong] = (labels[wrong] + random.integers(1, 10, len(wrong))) % 10
    return labels


def write_digits(folder: Path, noise: float = 0.0, test_noise: float | None = None, most: int = 1292) -> Path:
    """Three splits in *folder*: up to *most* images to train on; a share of *noise* of the labels is wrong."""
    blocks = {name: (images, labels) for name, images, labels in digits.read(Ingest(source="digits"), Path()).blocks}
    images, labels = blocks["train"]
    parts = {
        "train": (images[HELD_OUT:][:most], labels[HELD_OUT:][:most]),
        "validation": (images[:HELD_OUT], labels[:HELD_OUT]),
    }
    shares = {"train": noise, "validation": noise, "test": noise if test_noise is None else test_noise}
    for seed, (name, (pixels, truth)) in enumerate((parts | {"test": blocks["test"]}).items()):
        with SplitWriter(folder / name, pixels.shape[1:]) as split:
            split.add(pixels, flipped(truth, shares[name], seed))
    data = {"classes": list("0123456789"), "shape": [28, 28, 1], "mean": [0.31], "std": [0.35]}
    data |= {"images": {"train": len(parts["train"][0])}, "colour_skill": 1.0}
    (folder / "data.json").write_text(json.dumps(data))
    return folder
