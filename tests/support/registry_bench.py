"""Models that are known by which test images they get wrong, with a registry: what promotion is tested on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.promote.stage import promote
from components.registry import promotion_log
from components.registry.client import CHAMPION, Registry, model_digest
from components.settings.sections import Gate

IMAGES, NAME, WHO = 1000, "m", "ada@desk"


def answers(wrong: NDArray[np.int64]) -> NDArray[np.float32]:
    """Probabilities (IMAGES, 2) that are right (class 0) but for the images *wrong*."""
    classes = np.zeros(IMAGES, np.int64)
    classes[wrong] = 1
    return np.eye(2, dtype=np.float32)[classes]


@dataclass
class Bench:
    """A registry and a log, and models that are known by which test images they get wrong."""

    registry: Registry
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "promotions.jsonl"

    def add(self, model: str, wrong: range) -> Path:
        """A registered version of *model*; its evaluation."""
        train, evaluate = self.folder / f"train-{model}", self.folder / f"evaluate-{model}"
        train.mkdir()
        evaluate.mkdir()
        (train / "model.keras").write_text(model)
        np.save(evaluate / "predictions.npy", answers(np.array(wrong, np.int64)))
        self.registry.create_model(NAME, "")
        digest = {"model_digest": model_digest(train)}
        self.registry.client.create_model_version(NAME, self.folder.as_uri(), tags=digest)
        return evaluate

    def promote(self, model: str, champion: Path | None = None, gate: Gate | None = None) -> dict[str, object]:
        folders = self.folder / "normalize", self.folder / f"train-{model}", self.folder / f"evaluate-{model}"
        return promote(*folders, self.registry, NAME, gate or Gate(), self.log, WHO, champion)

    def champion(self) -> str | None:
        version = self.registry.alias(NAME, CHAMPION)
        return version.version if version else None

    def actions(self) -> list[tuple[str, str | None, str]]:
        return [(e["action"], e["from"], e["to"]) for e in promotion_log.read(self.log, NAME)]
