"""One version of the model, verified, loaded and tried: what a request is answered with from beginning to end."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.artifact_files import ModelInfo
from components.data.splits import Images
from components.errors import ArtifactCorrupt
from components.inference import model_info
from components.inference.classifier import Classifier
from components.inference.published import Published
from components.models.prediction import Probabilities
from components.registry.exports import SHA256_TAG
from serving.messages import Headers

CANARIES = "canaries.npz"
TOLERANCE = 1e-3  # of a probability: another processor rounds otherwise
INLINE_SECONDS = 0.002  # of inference that may hold up the event loop


@dataclass(frozen=True)
class LoadedModel:
    """*inline* is the number of images that are classified without leaving the event loop."""

    info: ModelInfo
    sha256: str  # of model_info.json, as the registry has it
    classifier: Classifier
    inline: int
    headers: Headers

    @property
    def name(self) -> str:
        return self.info["model"]

    @property
    def version(self) -> str:
        return self.info["version"]

    @property
    def classes(self) -> list[str]:
        return self.info["classes"]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of an image."""
        height, width, channels = self.info["input"]["shape"]
        return height, width, channels

    def probabilities(self, images: Images) -> Probabilities:
        return self.classifier.probabilities(images)


def load(published: Published) -> LoadedModel:
    """The *published* version; raises a Failure unless its files are those that were measured.

    They have to be those that model_info.json lists, and the model has to answer the canary images as the measured one
    did.
    """
    version, folder, info = published
    file = model_info.litert_file(info)
    model_info.verify(folder, info, [file, CANARIES])
    classifier = Classifier(folder / file)
    seconds = _try_canaries(folder, info, classifier)
    headers = ((b"x-model-version", info["version"].encode()),)
    return LoadedModel(info, version.tags[SHA256_TAG], classifier, max(0, int(INLINE_SECONDS / seconds)), headers)


def _try_canaries(folder: Path, info: ModelInfo, classifier: Classifier) -> float:
    """Seconds that an image takes; raises ArtifactCorrupt unless all canaries are answered as they were measured."""
    with np.load(folder / CANARIES) as canaries:
        images, expected = canaries["images"], canaries["probabilities"]
    start = time.perf_counter()
    answers = [classifier.probabilities(image[None])[0] for image in images]
    seconds = (time.perf_counter() - start) / len(images)
    difference = float(np.abs(np.stack(answers) - expected).max())
    if not difference <= TOLERANCE:
        raise ArtifactCorrupt(
            f"version {info['version']} of {info['model']} answers its own test images otherwise than it did when it "
            f"was measured (a probability differs by {difference:.3g}); publish it again with python -m pipeline stage "
            "export"
        )
    return seconds
