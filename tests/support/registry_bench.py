"""Models defined by the test images that they misclassify, with a registry: the bench of the tests of promotion."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.promote.champion import Promoted
from components.promote.stage import promote
from components.registry import class_names, promotion_log
from components.registry.approval import Answer
from components.registry.client import CHAMPION, Registry, model_sha256
from components.registry.model_version import MODEL_SHA256_TAG
from components.settings.sections import Gate, Promote

IMAGES, NAME, WHO = 1000, "m", "ada@desk"


def predictions(wrong: NDArray[np.int64]) -> NDArray[np.float32]:
    """Probabilities (IMAGES, 2) that are right (class 0) except for the images *wrong*."""
    classes = np.zeros(IMAGES, np.int64)
    classes[wrong] = 1
    return np.eye(2, dtype=np.float32)[classes]


@dataclass
class Bench:
    """A registry and a log, and models defined by the test images that they misclassify."""

    registry: Registry
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "promotions.jsonl"

    def add(self, model: str, wrong: range, classes: Sequence[str] = ("cat", "dog")) -> Path:
        """Register a version of *model*, which misclassifies the images *wrong*; its evaluation."""
        train, evaluate = self.folder / f"train-{model}", self.folder / f"evaluate-{model}"
        train.mkdir()
        evaluate.mkdir()
        (train / "model.keras").write_text(model)
        np.save(evaluate / "predictions.npy", predictions(np.array(wrong, np.int64)))
        (evaluate / "metrics.json").write_text(json.dumps({"classes": classes}))
        self.registry.create_model(NAME, "")
        tags = {MODEL_SHA256_TAG: model_sha256(train), **class_names.tag(classes)}
        self.registry.client.create_model_version(NAME, self.folder.as_uri(), tags=tags)
        return evaluate

    def promote(
        self,
        model: str,
        champion: Path | None = None,
        gate: Gate | None = None,
        params: Promote | None = None,
        answer: Answer | None = None,
        *,
        ask_only: bool = False,
    ) -> Promoted:
        folders = self.folder / "normalize", self.folder / f"train-{model}", self.folder / f"evaluate-{model}"
        return promote(
            *folders,
            self.registry,
            NAME,
            gate or Gate(),
            self.log,
            WHO,
            champion,
            params=params or Promote(),
            answer=answer,
            ask_only=ask_only,
        )

    def champion(self) -> str | None:
        version = self.registry.alias(NAME, CHAMPION)
        return version.version if version else None

    def actions(self) -> list[tuple[str, str | None, str]]:
        return [(p.action, p.before, p.version) for p in promotion_log.read(self.log, NAME)]
