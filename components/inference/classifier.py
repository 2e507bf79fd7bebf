"""The exported TFLite file as a classifier, for any number of threads at once; loads neither TensorFlow nor Keras."""

import threading
from pathlib import Path

import numpy as np

from components.data.splits import Images
from components.errors import ArtifactCorrupt
from components.inference.litert_runtime import LiteRT
from components.models.prediction import Probabilities
from components.system.files import open_regular
from components.system.streams import no_stderr

BATCH_SIZE = 32  # larger ones leave the cache: with 256, each image took a fifth longer


class Classifier:
    """Pixels in, probabilities out; each thread that asks has an interpreter of its own, on one core."""

    def __init__(self, file: Path) -> None:
        """Load *file*; raises ArtifactCorrupt where it is none that LiteRT runs."""
        self._file, self._content = file, _read(file)
        self._of_thread = threading.local()
        self._model()

    def probabilities(self, images: Images) -> Probabilities:
        """float32 (n, classes) of *images*, uint8 (n, H, W, C) as the model takes them."""
        model = self._model()
        if len(images) <= BATCH_SIZE:
            return model(images)
        return np.concatenate([model(images[at : at + BATCH_SIZE]) for at in range(0, len(images), BATCH_SIZE)])

    def _model(self) -> LiteRT:
        model: LiteRT | None = getattr(self._of_thread, "model", None)
        if model is None:
            self._of_thread.model = model = self._loaded()
        return model

    def _loaded(self) -> LiteRT:
        try:
            with no_stderr():  # of LiteRT, which names the library that it computes with
                return LiteRT(self._content, threads=1)
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ArtifactCorrupt(
                f"{self._file} is not a model that LiteRT can run ({reason}); expected a TFLite file that takes uint8 "
                "pixels, as python -m pipeline run exports it"
            ) from None


def _read(file: Path) -> bytes:
    try:
        with open_regular(file) as stream:
            return stream.read()
    except OSError as error:
        raise ArtifactCorrupt(
            f"the model {file} cannot be read ({error.strerror}); export it again with python -m pipeline run"
        ) from None
