"""The formats that a model is exported in: where each lies, how it is written, what runs it.

    name         file or folder           arithmetic
    saved_model  saved_model/             float32                          see components.export.writers.saved_model
    tflite       model.tflite             float32                          see components.export.writers.tflite
    float16      model-float16.tflite     weights float16, computed in float32
    dynamic      model-dynamic.tflite     weights int8, activations quantised as they come (dynamic range)
    int8         model-int8.tflite        int8 throughout
    pruned       model-pruned.tflite      int8 throughout, most weights 0  see components.export.pruning
    onnx         model.onnx               float32                          see components.export.writers.onnx
    keras        model.keras              float32                          the trained model's own file

All take raw pixels, uint8 (N, H, W, C) 0..255, and give probabilities (N, classes).
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.settings.sections import Export

if TYPE_CHECKING:  # a check imports this on every run with nothing to do: it must not load NumPy
    from components.data.splits import Images


@dataclass
class Source:
    """What files are written from; what several of them need is made once, in the folder *scratch*."""

    model: Any  # a Keras model
    file: Path  # the file that it was read from
    normalize: Path
    scratch: Path
    params: Export

    @cached_property
    def saved_model(self) -> Path:
        """The model as a SavedModel, which the converters read."""
        from components.export.writers.saved_model import write_saved_model

        write_saved_model(self.model, self.scratch / "saved_model")
        return self.scratch / "saved_model"

    @cached_property
    def calibration(self) -> "Images":
        """Training images that set the ranges of the activations."""
        from components.data.splits import Split
        from components.export.writers.tflite import calibration_images

        return calibration_images(Split(self.normalize / "train"), self.params.calibration_images)


def _saved_model(source: Source, folder: Path) -> None:
    shutil.copytree(source.saved_model, folder)


def _tflite(source: Source, file: Path) -> None:
    from components.export.writers.tflite import write_float

    write_float(source.saved_model, file)


def _float16(source: Source, file: Path) -> None:
    from components.export.writers.tflite import write_float16

    write_float16(source.saved_model, file)


def _dynamic(source: Source, file: Path) -> None:
    from components.export.writers.tflite import write_dynamic

    write_dynamic(source.saved_model, file)


def _int8(source: Source, file: Path) -> None:
    from components.export.writers.tflite import write_int8

    write_int8(source.saved_model, file, source.calibration)


def _pruned(source: Source, file: Path) -> dict[str, float]:
    from components.export.pruning import prune, zeros

    scratch = source.scratch / "pruned"
    scratch.mkdir()
    model = prune(source.file, source.normalize, source.params)
    _int8(Source(model, source.file, source.normalize, scratch, source.params), file)
    return {"zeros": zeros(model)}


def _onnx(source: Source, file: Path) -> None:
    from components.export.writers.onnx import write_onnx

    write_onnx(source.saved_model, file)


def _keras(source: Source, file: Path) -> None:
    shutil.copyfile(source.file, file)


@dataclass(frozen=True)
class Format:
    """One exported file or folder.

    path: below the folder of the exports. runtime: what runs it (components.export.benchmark). write: writes it to a
    path and may tell what is special about it.
    exact: it computes what Keras computes, in float32, and must agree with it image by image; the others round their
    weights, so a class may change where two are about as probable, and are held to the accuracy that they lose.
    """

    path: str
    runtime: str
    write: Callable[[Source, Path], dict[str, float] | None]
    exact: bool = False


FORMATS = {
    "saved_model": Format("saved_model", "tensorflow", _saved_model, exact=True),
    "tflite": Format("model.tflite", "litert", _tflite, exact=True),
    "float16": Format("model-float16.tflite", "litert", _float16),
    "dynamic": Format("model-dynamic.tflite", "litert", _dynamic),
    "int8": Format("model-int8.tflite", "litert", _int8),
    "pruned": Format("model-pruned.tflite", "litert", _pruned),
    "onnx": Format("model.onnx", "onnxruntime", _onnx, exact=True),
    "keras": Format("model.keras", "tensorflow", _keras, exact=True),
}
