"""What a model answers for the test images: its probabilities, and which class each column is."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from components.artifact_files import Metrics
from components.errors import PromotionRejected
from components.progress import say
from components.registry import class_names
from components.registry.client import Registry
from components.registry.model_version import ModelVersion

if TYPE_CHECKING:  # a run with nothing to do compares nothing: it must not load NumPy
    from components.data.splits import Labels
    from components.models.prediction import Probabilities
    from components.system.tensorflow import KerasModel


class Predictions(NamedTuple):
    """Probabilities (N, classes) of the test images, and the class names in the order of the columns."""

    probabilities: "Probabilities"
    classes: Sequence[str]

    def numbered_as(self, classes: Sequence[str]) -> "Labels":
        """The most probable classes, (N,), as positions in *classes*; -1 for a class that is not among them."""
        import numpy as np

        predicted: Labels = self.probabilities.argmax(axis=1)
        if list(self.classes) == list(classes):  # where two classes have one name, too
            return predicted
        number_of = {name: number for number, name in enumerate(classes)}
        renumbered: Labels = np.array([number_of.get(name, -1) for name in self.classes], np.int64)[predicted]
        return renumbered


def of_evaluation(evaluate: Path) -> Predictions:
    """The predictions that the evaluation in the folder *evaluate* kept."""
    import numpy as np

    probabilities = np.load(evaluate / "predictions.npy", allow_pickle=False)
    return Predictions(probabilities, evaluated_classes(evaluate))


def evaluated_classes(evaluate: Path) -> list[str]:
    """The class names of the evaluation in the folder *evaluate*."""
    metrics: Metrics = json.loads((evaluate / "metrics.json").read_bytes())
    return metrics["classes"]


def of_champion(
    registry: Registry,
    champion: ModelVersion,
    test: Path,
    evaluate: Path | None = None,
    classes: Sequence[str] | None = None,
) -> Predictions:
    """The champion's predictions of the test split in the folder *test*: those of *evaluate*, its evaluation on it.

    Where there is none, those of its file in the registry; *classes* are its class names, for a file that does not hold
    them. Raises PromotionRejected where it takes other images, or nothing says which classes it predicts.
    """
    if evaluate:
        return of_evaluation(evaluate)
    from components.data.splits import Split
    from components.models.prediction import keras_predictor, predict

    say(f"  predicting the test images with the champion, version {champion.version}")
    images, (model, names) = Split(test), _model(registry, champion)
    if tuple(model.input_shape[1:]) != images.shape:
        raise incomparable(champion, f"takes images of {tuple(model.input_shape[1:])}, not of {images.shape}")
    names = names or classes or class_names.from_description(registry, champion)
    if len(names) != model.output_shape[-1]:
        raise incomparable(champion, f"predicts {model.output_shape[-1]} classes of unknown names")
    return Predictions(predict(keras_predictor(model), images), names)


def _model(registry: Registry, version: ModelVersion) -> "tuple[KerasModel, Sequence[str] | None]":
    """The model of *version*, and the class names in its file."""
    from components.models.saving import read_classes, read_model

    with tempfile.TemporaryDirectory() as scratch:
        file = registry.model_file(version, Path(scratch))
        if file is None:
            raise incomparable(version, "has lost its file" if version.model_sha256 else "is no Keras archive")
        return read_model(file), read_classes(file)


def incomparable(champion: ModelVersion, why: str) -> PromotionRejected:
    return PromotionRejected(
        f"the champion, version {champion.version} of {champion.name}, {why}: the two cannot be compared; decide "
        "manually with python -m pipeline promote VERSION --force --reason TEXT"
    )
