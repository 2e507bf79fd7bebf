"""What export formats are written from: the model, and what several formats need, made once."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifact_files import ModelDescription
from components.settings.sections import Export

if TYPE_CHECKING:  # the key reads every format: it must not load NumPy
    from components.data.splits import Images


@dataclass
class Source:
    """What files are written from; what several of them need is made once, in the folder *scratch*."""

    model: Any  # a Keras model
    file: Path  # the file that it was read from
    normalize: Path
    scratch: Path
    params: Export
    description: ModelDescription

    @cached_property
    def saved_model(self) -> Path:
        """The model as a SavedModel, which the converters read."""
        from components.export.conversion.saved_model import write_saved_model

        write_saved_model(self.model, self.scratch / "saved_model", self.description)
        return self.scratch / "saved_model"

    @cached_property
    def calibration(self) -> "Images":
        """Training images that set the ranges of the activations."""
        from components.data.splits import Split
        from components.export.conversion.tflite import calibration_images

        return calibration_images(Split(self.normalize / "train"), self.params.calibration_images)
