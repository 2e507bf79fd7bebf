"""Shared fixtures: a small trained model and an empty MLflow registry, each made once."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from components.data.splits import Split, SplitWriter
from components.registry.client import Registry
from tests.conftest import once
from tests.support.digits_dataset import SOUND, write_digits
from tests.support.registry_bench import IMAGES, Bench
from tests.support.small_training import run

for _name in ("DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY"):
    os.environ.setdefault(_name, "true")
os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")

SHAPE, NAMES = (8, 8, 1), list("abcd")
CLASSES = len(NAMES)


@dataclass(frozen=True)
class Trained:
    """The artifacts of the stages before register, as folders."""

    normalize: Path
    train: Path
    evaluate: Path


def bars(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images of noise with a bright bar whose place is the class: a network learns them in a second."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    images = rng.integers(0, 120, (count, *SHAPE), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 2] += 80
    return images, labels


def write_normalize(folder: Path) -> Path:
    for name, count, seed in (("train", 300, 0), ("validation", 40, 1), ("test", 90, 2)):
        with SplitWriter(folder / name, SHAPE) as split:
            split.add(*bars(count, seed))
    data = {"source": "bars", "name": "bars", "classes": NAMES, "shape": list(SHAPE)}
    (folder / "data.json").write_text(json.dumps(data))
    return folder


def write_model(normalize: Path, folder: Path, seed: int, epochs: int = 12) -> Path:
    """A dense network in *folder*/model.keras, trained a little."""
    from components.models import build, saving
    from components.models.config import ModelConfig
    from components.system.tensorflow import tensorflow

    tensorflow()
    import keras

    keras.utils.set_random_seed(seed)
    model = build.build("dense", ModelConfig(SHAPE, CLASSES), mean=[0.35], std=[0.2])
    split = Split(normalize / "train")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(split.images(), split.labels, epochs=epochs, verbose=0)
    fresh = build.build("dense", ModelConfig(SHAPE, CLASSES), mean=[0.35], std=[0.2])
    fresh.set_weights(model.get_weights())
    folder.mkdir(parents=True)
    saving.write_model(fresh, folder / "model.keras", NAMES)
    return folder


def write_evaluate(normalize: Path, train: Path, folder: Path) -> Path:
    from components.models.saving import read_model

    test = Split(normalize / "test")
    predictions = read_model(train / "model.keras").predict_on_batch(test.images())
    folder.mkdir()
    np.save(folder / "predictions.npy", predictions)
    accuracy = float((predictions.argmax(axis=1) == test.labels).mean())
    interval = {"wilson_low": accuracy - 0.02, "wilson_high": accuracy}
    metrics = {"accuracy": accuracy, "n": len(test), **interval, "classes": NAMES}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Trained]:
    """Trained models, one per seed: seed 0 is trained well, higher ones hardly."""
    root = tmp_path_factory.mktemp("trained")
    normalize = write_normalize(root / "normalize")
    made: dict[int, Trained] = {}

    def get(seed: int) -> Trained:
        if seed not in made:
            train = write_model(normalize, root / f"train-{seed}", seed, epochs=12 if seed == 0 else 1)
            made[seed] = Trained(normalize, train, write_evaluate(normalize, train, root / f"evaluate-{seed}"))
        return made[seed]

    return get


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training on the built-in digits without any problem: normalize/ and out/."""
    return once(tmp_path_factory, "sound", lambda folder: run(write_digits(folder / "normalize"), folder, **SOUND))


@pytest.fixture
def registry(tmp_path: Path, empty_database: Path) -> Registry:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return Registry(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.fixture
def bench(registry: Registry, tmp_path: Path) -> Bench:
    with SplitWriter(tmp_path / "normalize" / "test", (1, 1, 1)) as test:
        test.add(np.zeros((IMAGES, 1, 1, 1), np.uint8), np.zeros(IMAGES, np.int64))
    return Bench(registry, tmp_path)


def new_run(registry: Registry, artifacts: Path | None = None) -> str:
    """A run to log to, its files under *artifacts*."""
    client = registry.client
    experiment = client.get_experiment_by_name("bars")
    location = (artifacts / "mlartifacts").as_uri() if artifacts else None
    number = experiment.experiment_id if experiment else client.create_experiment("bars", artifact_location=location)
    return str(client.create_run(number).info.run_id)
