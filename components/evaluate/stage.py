"""Evaluate: measure the trained model on the whole test split, and judge what was measured.

The test split is read here (and by the parity check of the export) alone, and read whole: nothing was chosen by it.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import ModelRejected
from components.evaluate import check as bounds
from components.evaluate import diagnosis
from components.findings import Finding
from components.settings.sections import Evaluate, Gate, Train

if TYPE_CHECKING:  # the check runs on every run with nothing to do: it must not load NumPy
    import numpy as np
    from numpy.typing import NDArray

    from components.data.splits import Split

    Model = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # probabilities (n, classes)

REJECTION = ModelRejected
BLOCK = 1024  # images per call of the model


def evaluate(normalize: Path, train: Path, out: Path, params: Evaluate) -> dict[str, Any]:
    """Predict every test image from its raw pixels, measure, draw; write to *out*

        metrics.json     n, correct, accuracy, wilson_low, wilson_high, loss, macro_f1, expected_calibration_error,
                         classes [name], per_class [{name, precision, recall, f1, support, wilson_low, wilson_high}],
                         confusion [[count]] (row: truth, column: predicted), calibration [{low, high, count, ...}],
                         mistakes [{index, truth, predicted, probability}] the most confident ones first,
                         confidence {separation, right, wrong}, slices (components.evaluate.slices), corruption_error,
                         suspects {split: {n, suspects}}, train_accuracy, validation_accuracy, gap,
                         training {best_epoch, epochs, stopped_early}
        corruptions.json wrong answers on spoilt images (components.evaluate.corruptions); none where none were asked
        for
        suspects.json    suspected label errors of the test and the validation split (components.evaluate.label_errors)
        predictions.npy  float32 (N, classes), probabilities in the order of the test split
        pictures/        confusion.png learning-curves.png mistakes.png calibration.png slices.png suspects.png
                         corruption-curves.png corruption-samples.png
                         augmented.png (components.evaluate.figures.augmentation), where training augmented its images

    The validation split chose the best epoch, so it is no measure of the model; its labels can be doubted all the same.
    Raises ModelRejected where the model gives something that is no probability.
    """
    import numpy as np

    from components.evaluate.figures import augmentation

    start = time.perf_counter()
    found = measure(normalize, train, params)
    seconds = time.perf_counter() - start
    np.save(out / "predictions.npy", found.probabilities)
    for name, content in (("metrics", found.metrics), ("suspects", found.doubted), ("corruptions", found.spoilt)):
        if content:
            (out / f"{name}.json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    _draw(found, normalize, train / "history.csv", out / "pictures")
    augmentation.draw(normalize / "train", train / "summary.json", out / "pictures/augmented.png")
    metrics = found.metrics
    told = ("accuracy", "n", "loss", "macro_f1", "expected_calibration_error", "corruption_error")
    low, high = 100 * metrics["wilson_low"], 100 * metrics["wilson_high"]
    headline = f"accuracy {100 * metrics['accuracy']:.2f} % ({low:.2f} to {high:.2f})"
    facts = {name: metrics[name] for name in told if name in metrics}
    return facts | {"headline": headline, "seconds": round(seconds, 3)}


@dataclass(frozen=True)
class Measured:
    """What evaluate writes, before it is written and drawn."""

    metrics: dict[str, Any]
    probabilities: "NDArray[np.float32]"
    doubted: dict[str, Any]
    spoilt: dict[str, Any]  # {} where no images were to be corrupted


def measure(normalize: Path, train: Path, params: Evaluate) -> Measured:
    """Everything that is measured; memory is bounded by a block of images and the predictions."""
    from components.data.splits import Split
    from components.evaluate import corruptions, label_errors, scores, slices
    from components.models.saving import read_model

    fitted, validation, test = (Split(normalize / part) for part in ("train", "validation", "test"))
    classes: list[str] = json.loads((normalize / "data.json").read_text())["classes"]
    keras_model = read_model(train / "model.keras")
    model = _asked(keras_model)
    probabilities = _predict(model, test, len(classes), "test")
    guesses = _predict(model, validation, len(classes), "validation")
    held_out = {"test": (test.labels, probabilities), "validation": (validation.labels, guesses)}
    doubted = label_errors.measure(held_out, params.suspects)
    spoilt = corruptions.measure(test, model, params.corruption_images) if params.corruption_images else {}
    metrics = scores.measure(test.labels, probabilities, classes, params.mistakes) | _training(train)
    metrics |= {"gap": metrics["train_accuracy"] - metrics["accuracy"], "suspects": doubted["splits"]}
    metrics["slices"] = slices.measure(fitted, test, probabilities.argmax(axis=1) == test.labels)
    if spoilt:
        metrics["corruption_error"] = spoilt["mean_error"]
    return Measured(metrics, probabilities, doubted, spoilt)


def _asked(model: Any) -> "Model":
    """*model*, which has to be kept, as a function of uint8 images (n, H, W, C).

    Traced once for any n; Keras' predict_on_batch traces anew for each n that it has not met.
    """
    from components.system.tensorflow import tensorflow

    tf = tensorflow()
    images = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
    traced = tf.function(lambda batch: model(batch, training=False), autograph=False).get_concrete_function(images)
    return lambda batch: traced(tf.constant(batch)).numpy()


def _predict(model: "Model", split: "Split", classes: int, name: str) -> "NDArray[np.float32]":
    """Probabilities, float32 (N, classes), of every image of *split* in order."""
    import numpy as np

    out = np.empty((len(split), classes), np.float32)
    done = 0
    for images, _ in split.blocks(BLOCK, f"evaluate: {name} images"):
        out[done : done + len(images)] = model(images)
        done += len(images)
    broken = np.flatnonzero(~np.isfinite(out).all(axis=1))
    if broken.size:
        raise ModelRejected(
            f"the model gives nan or inf for {broken.size:,} of {done:,} {name} images (the first: image {broken[0]}), "
            "expected probabilities; train again with a lower learning rate, --set train.learning_rate=..."
        )
    return out


def _training(train: Path) -> dict[str, Any]:
    """What the check and the report need to know of the training, copied so that they read one file."""
    summary = json.loads((train / "summary.json").read_text())
    kept = {name: summary[name] for name in ("train_accuracy", "validation_accuracy")}
    return kept | {"training": {name: summary[name] for name in ("best_epoch", "epochs", "stopped_early")}}


def _draw(found: Measured, normalize: Path, history: Path, folder: Path) -> None:
    import numpy as np

    from components.data.splits import Split
    from components.evaluate import corruptions
    from components.evaluate.figures import analysis
    from components.evaluate.figures import metrics as figures

    folder.mkdir()
    metrics, splits = found.metrics, {part: Split(normalize / part) for part in ("test", "validation")}
    classes, mistakes = metrics["classes"], metrics["mistakes"]
    images = splits["test"].take(np.array([mistake["index"] for mistake in mistakes], np.int64))
    figures.confusion(metrics["confusion"], classes, folder / "confusion.png")
    figures.learning_curves(history, metrics["training"]["best_epoch"], folder / "learning-curves.png")
    figures.mistakes(images, mistakes, classes, folder / "mistakes.png")
    figures.calibration(metrics["calibration"], metrics["expected_calibration_error"], folder / "calibration.png")
    analysis.slices(metrics, folder / "slices.png")
    analysis.suspects(splits, found.doubted["suspects"], classes, folder / "suspects.png")
    if found.spoilt:
        analysis.corruption_curves(found.spoilt, folder / "corruption-curves.png")
        analysis.corruption_samples(corruptions.sheet(splits["test"]), folder / "corruption-samples.png")


def check(evaluate: Path, train: Path, training: Train, gate: Gate) -> list[Finding]:
    """An error for each bound that the model misses, a warning for each trouble that its training shows.

    *training* holds the settings that it was trained with.
    """
    metrics = json.loads((evaluate / "metrics.json").read_text())
    return bounds.judge(metrics, gate) + diagnosis.warn(diagnosis.read(train, metrics, training, gate))
