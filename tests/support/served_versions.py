"""A registry with versions of a model that classifies digits at random, by a seed: other seeds answer otherwise."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import DrawnForm
from components.data.splits import Images
from components.models.prediction import Probabilities
from components.registry.client import CHAMPION, Registry
from components.registry.database import address_of
from tests.support import published_model

NAME = "shapes-classifier"
SHAPE = (28, 28, 1)
DIGITS = tuple(str(digit) for digit in range(10))
CANARIES = 16


def weights(seed: int, shape: tuple[int, ...] = SHAPE, classes: int = 10) -> NDArray[np.float32]:
    """Those of the only layer, float32 (classes, pixels)."""
    return np.random.default_rng(seed).normal(0, 0.0003, (classes, int(np.prod(shape)))).astype(np.float32)


def expected(images: Images, seed: int, classes: int = 10) -> Probabilities:
    """What the model of *seed* answers for *images*, computed without LiteRT."""
    logits = images.reshape(len(images), -1).astype(np.float32) @ weights(seed, images.shape[1:], classes).T
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Probabilities = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def tflite(seed: int, shape: tuple[int, ...] = SHAPE, classes: int = 10) -> bytes:
    return published_model.dense(shape, weights(seed, shape, classes), np.zeros(classes, np.float32))


class Versions:
    """Versions of one model in a home that has an empty database of MLflow; version 3 has the seed 3."""

    def __init__(self, home: Path, name: str = NAME, shape: tuple[int, ...] = SHAPE, labels: tuple[str, ...] = DIGITS):
        self.home, self.name, self._shape, self._labels = home, name, shape, labels
        self.drawn: DrawnForm | None = None  # of the versions that are added from then on
        self.registry = Registry(address_of(home / "mlflow.db"))
        self.registry.create_model(name, "")

    def add(self, *, champion: bool = False) -> str:
        """The number of a new version, published and registered."""
        number = str(len(self.registry.versions(self.name)) + 1)
        tags = {"export.sha256": self._publish(number)}
        self.registry.client.create_model_version(self.name, self.home.as_uri(), tags=tags)
        if champion:
            self.point(number)
        return number

    def _publish(self, number: str) -> str:
        info = published_model.info(self._shape, number, self.name)
        info["classes"], info["drawn"] = list(self._labels), self.drawn
        images = np.random.default_rng(0).integers(0, 256, (CANARIES, *self._shape), np.uint8)
        seed, classes = int(number), len(self._labels)
        model, answers = tflite(seed, self._shape, classes), expected(images, seed, classes)
        return published_model.publish_model(self.home / "exports", info, model, images, answers)

    def point(self, number: str, alias: str = CHAMPION) -> None:
        self.registry.set_alias(self.name, alias, number)

    def folder(self, number: str) -> Path:
        return self.home / "exports" / self.name / number
