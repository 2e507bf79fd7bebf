"""Evaluate: measure the trained model on the whole test split.

Only evaluate, and the comparison of exported files, read the test split: nothing was chosen by it.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.artifact_files import (
    Corruptions,
    Metrics,
    NormalizedData,
    Suspects,
    Training,
    TrainSummary,
)
from components.data import problems
from components.data.problems import Problem
from components.data.splits import Split
from components.errors import ModelRejected
from components.evaluate import corruptions, label_errors, scores, slices, training_labels
from components.evaluate.image_files import NormalizedFiles
from components.evaluate.problem_rows import named_rows
from components.formatting import percent, points
from components.models.prediction import Predictor, Probabilities, keras_predictor, predict
from components.models.saving import read_model
from components.settings.sections import Evaluate

IN_FACTS = ("accuracy", "n", "baseline", "loss", "macro_f1", "expected_calibration_error", "corruption_error")


def evaluate(
    normalize: Path, train: Path, out: Path, params: Evaluate, ingest: Path | None = None
) -> dict[str, object]:
    """Predict every test image from its raw pixels and measure; write to *out*

        metrics.json     everything measured on the test split, see components.artifact_files.Metrics
        corruptions.json misclassified corrupted images (components.evaluate.corruptions); not written where
                         evaluate.corruption_images is 0
        suspects.json    suspected label errors of the test and the validation split (components.evaluate.label_errors)
                         and of the training split (components.evaluate.training_labels)
        problems.csv     every mistake and every suspect, by their files where *ingest* knows them
        predictions.npy  float32 (N, classes), probabilities in the order of the test split

    The figures are drawn from these files (components.evaluate.figures.draw), outside the key of this stage. The
    validation split chose the best epoch, so it does not measure the model; its labels can be wrong all the same.
    Raises ModelRejected where the model predicts NaN or infinity.
    """
    start = time.perf_counter()
    evaluation = measure(normalize, train, params, NormalizedFiles(ingest, normalize))
    seconds = time.perf_counter() - start
    np.save(out / "predictions.npy", evaluation.probabilities)
    _write(out / "metrics.json", evaluation.metrics)
    _write(out / "suspects.json", evaluation.suspects)
    problems.write(evaluation.problems, out)
    if evaluation.corruptions:
        _write(out / "corruptions.json", evaluation.corruptions)
    metrics = evaluation.metrics
    facts = {name: value for name, value in metrics.items() if name in IN_FACTS}
    return facts | {"headline": _headline(metrics), "seconds": round(seconds, 3)}


def _headline(metrics: Metrics) -> str:
    """ "accuracy 99.34 % (99.16 to 99.48), baseline 11.35 %" """
    interval = f"{points(metrics['wilson_low'])} to {points(metrics['wilson_high'])}"
    return f"accuracy {percent(metrics['accuracy'])} ({interval}), baseline {percent(metrics['baseline'])}"


def _write(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


@dataclass(frozen=True)
class Evaluation:
    """What evaluate writes; *corruptions* is None where no images were to be corrupted."""

    metrics: Metrics
    probabilities: Probabilities
    suspects: Suspects
    problems: list[Problem]
    corruptions: Corruptions | None


def measure(normalize: Path, train: Path, params: Evaluate, files: NormalizedFiles | None = None) -> Evaluation:
    """Everything that is measured; memory is bounded by a block of images and the predictions."""
    fitted, validation, test = (Split(normalize / part) for part in ("train", "validation", "test"))
    data: NormalizedData = json.loads((normalize / "data.json").read_bytes())
    summary: TrainSummary = json.loads((train / "summary.json").read_bytes())
    keras_model = read_model(train / "model.keras")
    model = keras_predictor(keras_model)
    probabilities, guesses = _predict(model, test, "test"), _predict(model, validation, "validation")
    held_out = {"test": (test.labels, probabilities), "validation": (validation.labels, guesses)}
    suspects = label_errors.find(held_out)
    if params.training_labels:
        of_training = training_labels.find(keras_model, fitted, validation, params.training_labels)
        suspects["splits"]["train"], suspects["training_suspects"] = of_training
    corrupted = corruptions.measure(test, model, params.corruption_images) if params.corruption_images else None
    of_test = scores.classification_scores(test.labels, probabilities, data["classes"])
    rows = named_rows(files or NormalizedFiles(None, normalize), of_test["mistakes"], suspects, data["classes"])
    of_test["mistakes"] = of_test["mistakes"][: params.mistakes]
    for group in (suspects["suspects"], suspects.get("training_suspects", [])):
        del group[params.suspects :]
    metrics: Metrics = {
        **of_test,  # type: ignore[typeddict-item]  # which has no corruption_error
        "train_accuracy": summary["train_accuracy"],
        "validation_accuracy": summary["validation_accuracy"],
        "gap": summary["train_accuracy"] - of_test["accuracy"],
        "training": _training(summary),
        "suspects": suspects["splits"],
        "slices": slices.measure(fitted, test, probabilities.argmax(axis=1) == test.labels),
    }
    if calibration := summary.get("calibration"):
        metrics["temperature"] = calibration["temperature"]
        metrics["validation_calibration_error_before"] = calibration["error_before"]
        metrics["validation_calibration_error"] = calibration["error"]
    if corrupted:
        metrics["corruption_error"] = corrupted["mean_error"]
    return Evaluation(metrics, probabilities, suspects, rows, corrupted)


def _training(summary: TrainSummary) -> Training:
    """Copied, so that the check and the report read one file."""
    return {
        "best_epoch": summary["best_epoch"],
        "epochs": summary["epochs"],
        "steps": summary["steps"],
        "stopped_early": summary["stopped_early"],
    }


def _predict(model: Predictor, split: Split, name: str) -> Probabilities:
    """Probabilities of every image of *split*; raises ModelRejected where any is NaN or infinite."""
    probabilities = predict(model, split, label=f"evaluate: {name} images")
    broken = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if broken.size:
        raise ModelRejected(
            f"the model predicts NaN or infinity for {broken.size:,} of {len(split):,} {name} images (the first: image "
            f"{broken[0]}), expected probabilities; train again with a lower learning rate, "
            "--set train.learning_rate=..."
        )
    return probabilities
