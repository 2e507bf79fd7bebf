"""Artifacts of normalize and train around a model that classifies grey images by brightness, without a training."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.splits import SplitWriter
from components.system.tensorflow import tensorflow

CLASSES = ["dark", "bright", "never"]
COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def write_training(folder: Path, model: Any, epochs: int = 2) -> None:
    folder.mkdir()
    model.save(folder / "model.keras")
    with (folder / "history.csv").open("w", newline="") as file:
        rows = [(epoch, 1 / epoch, 0.9, 1.1 / epoch, 0.88, 0.001) for epoch in range(1, epochs + 1)]
        csv.writer(file).writerows([COLUMNS, *rows])
    summary = {"train_accuracy": 0.99, "validation_accuracy": 0.98, "best_epoch": epochs, "epochs": epochs}
    write_json(folder / "summary.json", summary | {"stopped_early": False, "steps": 100, "parameters": 1, "layers": 2})


def write_normalize(folder: Path, grey: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Images of uniform grey as the test split; the first few of them as the training and the validation split."""
    folder.mkdir(exist_ok=True)
    for name, count in (("train", 20), ("validation", 10), ("test", len(grey))):
        with SplitWriter(folder / name, (4, 4, 1)) as split:
            split.add(np.broadcast_to(grey[:count, None, None, None], (len(grey[:count]), 4, 4, 1)), labels[:count])
    write_json(folder / "data.json", {"classes": CLASSES})


def brightness_model(gain: float) -> Any:
    """An untrained model: class 1 from mid-grey upwards, class 0 below, class 2 never."""
    tensorflow()
    import keras

    layers = [keras.Input((4, 4, 1), dtype="uint8"), keras.layers.Rescaling(2 / 255, -1.0), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax")])
    weights = np.tile(np.array([-gain, gain, 0], np.float32) / 16, (16, 1))
    model.layers[-1].set_weights([weights, np.array([0, 0, -30], np.float32)])
    return model


def contents(folder: Path) -> dict[str, bytes]:
    """Relative path -> content of every file below *folder*."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
