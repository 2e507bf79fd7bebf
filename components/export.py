"""Export: the model for servers and for phones, each file measured on the whole test split against the Keras model."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components.errors import ExportRejected
from components.gate import Finding
from components.params import Export, Gate

if TYPE_CHECKING:  # the check runs on every run with nothing to do: it must not load NumPy
    import numpy as np
    from numpy.typing import NDArray

    Probabilities = NDArray[np.float32]

REJECTION = ExportRejected
TOLERANCE = 1e-4  # in probability, for formats that compute in float32


@dataclass(frozen=True)
class Format:
    """One exported file or folder: how it is written and asked, and whether it must agree with Keras image by image."""

    path: str
    write: Callable[
        [Any, Path, Path, Export], None
    ]  # (Keras model, folder of normalize, folder of the exports, settings)
    exact: bool

    def predict(self, out: Path, test: Path) -> "tuple[Probabilities, float | None]":
        """Probabilities for the split *test*, and microseconds for one image where they are measured."""
        if self.path.endswith(".tflite"):
            from components.litert import predict_litert

            return predict_litert(out / self.path, test)
        from components.savedmodel import predict_saved_model
        from components.splits import Split

        return predict_saved_model(out / self.path, Split(test)), None


def _saved_model(model: Any, normalize: Path, out: Path, params: Export) -> None:
    from components.savedmodel import write_saved_model

    write_saved_model(model, out / "saved_model")


def _tflite(model: Any, normalize: Path, out: Path, params: Export) -> None:
    from components.tflite import write_float

    write_float(out / "saved_model", out / "model.tflite")


def _int8(model: Any, normalize: Path, out: Path, params: Export) -> None:
    from components.splits import Split
    from components.tflite import calibration_images, write_int8

    images = calibration_images(Split(normalize / "train"), params.calibration_images)
    write_int8(out / "saved_model", out / "model-int8.tflite", images)


FORMATS = {
    "saved_model": Format("saved_model", _saved_model, exact=True),
    "tflite": Format("model.tflite", _tflite, exact=True),  # from the SavedModel above, so it comes after it
    "int8": Format("model-int8.tflite", _int8, exact=False),
}


def export(normalize: Path, train: Path, out: Path, params: Export) -> dict[str, Any]:
    """Write every format and measure each on the whole test split; to *out*

        saved_model/         TensorFlow, see components.savedmodel
        model.tflite         LiteRT in float32, see components.tflite
        model-int8.tflite    LiteRT in 8-bit integers
        parity.json          n, keras {correct, accuracy}, formats {name: {path, bytes, correct, accuracy,
                             agree (images of the same class as by Keras), max_difference (in probability)}}

    Facts: accuracy, bytes and median microseconds for one image on one thread, by format.
    """
    from components.archive import read_model
    from components.progress import say
    from components.splits import Split

    model = read_model(train / "model.keras")
    _expect_float32(model)
    test = Split(normalize / "test")
    reference = _keras(model, test)
    formats: dict[str, dict[str, Any]] = {}
    facts: dict[str, Any] = {}
    for name, form in FORMATS.items():
        say(f"  writing {form.path} and asking it about {len(test):,} test images")
        form.write(model, normalize, out, params)
        probabilities, microseconds = form.predict(out, normalize / "test")
        formats[name] = {"path": form.path, "bytes": _bytes(out / form.path)} | _measure(
            probabilities, reference, test.labels
        )
        facts[name] = {key: formats[name][key] for key in ("accuracy", "bytes")} | {"microseconds": microseconds}
    parity = {"n": len(test), "keras": _correct(reference, test.labels), "formats": formats}
    (out / "parity.json").write_text(json.dumps(parity, indent=2, sort_keys=True) + "\n")
    return facts


def _expect_float32(model: Any) -> None:
    for layer in model.layers:
        if layer.compute_dtype != "float32":
            raise ExportRejected(
                f"layer {layer.name} of the model computes in {layer.compute_dtype}, which the exports cannot do; "
                "expected float32. Train again with --set train.precision=float32"
            )


def _keras(model: Any, test: Any) -> "Probabilities":
    import numpy as np

    return np.concatenate([model.predict_on_batch(images) for images, _ in test.blocks(1000, "export: Keras")])


def _bytes(path: Path) -> int:
    files = [path, *path.rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file())


def _correct(probabilities: "Probabilities", labels: Any) -> dict[str, Any]:
    correct = int((probabilities.argmax(axis=1) == labels).sum())
    return {"correct": correct, "accuracy": correct / len(labels)}


def _measure(probabilities: "Probabilities", reference: "Probabilities", labels: Any) -> dict[str, Any]:
    agree = int((probabilities.argmax(axis=1) == reference.argmax(axis=1)).sum())
    # rounded, as threads may add up in another order from one time to the next
    difference = float(f"{abs(probabilities - reference).max():.1e}")
    return _correct(probabilities, labels) | {"agree": agree, "max_difference": difference}


def check(export: Path, gate: Gate) -> list[Finding]:
    """An error for each format that is not what the Keras model computes, by the measure that fits it."""
    parity = json.loads((export / "parity.json").read_text())
    findings: list[Finding] = []
    for name, measured in parity["formats"].items():
        if FORMATS[name].exact:
            findings += _disagrees(measured, parity["n"])
        else:
            findings += _loses(measured, parity["keras"]["correct"], parity["n"], gate.max_export_loss)
    return findings


def _disagrees(measured: dict[str, Any], n: int) -> list[Finding]:
    agree, difference = measured["agree"], measured["max_difference"]
    if agree == n and difference <= TOLERANCE:
        return []
    text = (
        f"{measured['path']} gives another class than the Keras model for {n - agree:,} of {n:,} test images and "
        f"differs by up to {difference:g} in probability; expected none and at most {TOLERANCE:g}. Make it again with "
        "python -m pipeline run --force export"
    )
    return [Finding("error", text)]


def _loses(measured: dict[str, Any], right: int, n: int, most: float) -> list[Finding]:
    """One image is the least that can be lost: where even that is more than *most*, one is a warning."""
    lost = right - measured["correct"]
    if lost <= 0 or lost / n <= most:
        return []
    severity: Literal["error", "warning"] = "warning" if lost == 1 and most else "error"
    text = (
        f"{measured['path']} is right for {measured['correct']:,} of {n:,} test images, the Keras model for {right:,}: "
        f"{100 * lost / n:.2f} points less, and at most {100 * most:.6g} are allowed (gate.max_export_loss); give it "
        "more images to set its ranges by: --set export.calibration_images=2000"
    )
    return [Finding(severity, text)]
