"""A training that is small enough for a test, and its results to compare."""

import csv
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from components.data.splits import SplitWriter
from components.settings.sections import Train
from components.train.stage import train

SMALL: dict[str, Any] = {
    "model": "dense",
    "batch_size": 16,
    "epochs": 5,
    "dropout": 0.3,
    "augment": "rotate=5,shift=0.1,zoom=0.1,shear=5,elastic=1,erase=0.05",
    "learning_rate": 0.01,
    "schedule": "cosine",
    "patience": 3,
}


def write_normalized(folder: Path, images: int = 96) -> Path:
    """An artifact of normalize: three splits of 8x8 images with noise, in which class k has a bright row 2k."""
    rng = np.random.default_rng(0)
    for part in ("train", "validation", "test"):
        labels = np.arange(images) % 4
        pixels = rng.integers(0, 120, (images, 8, 8, 1))
        pixels[np.arange(images), labels * 2] += 100
        with SplitWriter(folder / part, (8, 8, 1)) as split:
            split.add(pixels.astype(np.uint8), labels)
    data = {
        "classes": ["a", "b", "c", "d"],
        "shape": [8, 8, 1],
        "mean": [0.3],
        "std": [0.2],
        "images": {"train": images},
        "colour_skill": 1.0,
    }
    (folder / "data.json").write_text(json.dumps(data))
    return folder


def folders(folder: Path) -> tuple[Path, Path, Path]:
    """out, work and logs under *folder*, created where they are missing."""
    for name in ("out", "work", "logs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder / "out", folder / "work", folder / "logs"


def run(normalized: Path, folder: Path, **settings: Any) -> dict[str, Any]:
    """Train into folder/out, with folder/work and folder/logs beside it."""
    return train(normalized, *folders(folder), params=Train(**(SMALL | settings)))


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in (folder / "out").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def history(folder: Path) -> list[dict[str, float]]:
    with (folder / "out/history.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def interrupted(function: Callable[..., Any], at: int, *, leaving_half: str | None = None) -> Callable[..., Any]:
    """*function*, whose call number *at* ends the training and may leave half a file behind.

    KeyboardInterrupt stands for any end: the next training uses nothing that the process held in memory.
    """
    calls = 0

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        result = function(*arguments, **options)
        if calls == at:
            if leaving_half:
                [path] = Path.cwd().rglob(leaving_half)
                os.truncate(path, path.stat().st_size // 2)
            raise KeyboardInterrupt
        return result

    return call
