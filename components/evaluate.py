"""Evaluate: measure the trained model on the whole test split, and judge what was measured.

The test split is read here (and by the parity check of the export) alone, and read whole: nothing was chosen by it.
"""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import ModelRejected
from components.gate import Finding
from components.params import Evaluate, Gate

if TYPE_CHECKING:  # the check runs on every run with nothing to do: it must not load NumPy
    import numpy as np
    from numpy.typing import NDArray

    from components.splits import Split

REJECTION = ModelRejected
BLOCK = 1024  # images per call of the model


def evaluate(normalize: Path, train: Path, out: Path, params: Evaluate) -> dict[str, Any]:
    """Predict every test image from its raw pixels, measure, draw; write to *out*

        metrics.json     n, correct, accuracy, wilson_low, wilson_high, loss, macro_f1, expected_calibration_error,
                         classes [name], per_class [{name, precision, recall, f1, support}],
                         confusion [[count]] (row: truth, column: predicted), calibration [{low, high, count, ...}],
                         mistakes [{index, truth, predicted, probability}] the most confident ones first,
                         train_accuracy, validation_accuracy, gap, training {best_epoch, epochs, stopped_early}
        predictions.npy  float32 (N, classes), probabilities in the order of the test split
        pictures/        confusion.png learning-curves.png mistakes.png calibration.png
                         augmented.png (components.samples), where training augmented its images

    Raises ModelRejected where the model gives something that is no probability.
    """
    import numpy as np

    from components import samples
    from components.splits import Split

    test = Split(normalize / "test")
    classes: list[str] = json.loads((normalize / "data.json").read_text())["classes"]
    start = time.perf_counter()
    probabilities = _predict(train / "model.keras", test, len(classes))
    seconds = time.perf_counter() - start
    np.save(out / "predictions.npy", probabilities)
    metrics = _measure(test, probabilities, classes, params.mistakes) | _training(train)
    metrics["gap"] = metrics["train_accuracy"] - metrics["accuracy"]
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2, sort_keys=True) + "\n")
    _draw(metrics, test, train / "history.csv", out / "pictures")
    samples.draw(normalize / "train", train / "summary.json", out / "pictures/augmented.png")
    facts = {name: metrics[name] for name in ("accuracy", "n", "loss", "macro_f1", "expected_calibration_error")}
    low, high = 100 * metrics["wilson_low"], 100 * metrics["wilson_high"]
    headline = f"accuracy {100 * metrics['accuracy']:.2f} % ({low:.2f} to {high:.2f})"
    return facts | {"headline": headline, "predict_seconds": round(seconds, 3)}


def _predict(model_file: Path, test: "Split", classes: int) -> "NDArray[np.float32]":
    """Probabilities, float32 (N, classes), of every image of *test* in order."""
    import numpy as np

    from components.archive import read_model

    model = read_model(model_file)
    out = np.empty((len(test), classes), np.float32)
    done = 0
    for images, _ in test.blocks(BLOCK, "evaluate"):
        out[done : done + len(images)] = model.predict_on_batch(images)
        done += len(images)
    broken = np.flatnonzero(~np.isfinite(out).all(axis=1))
    if broken.size:
        raise ModelRejected(
            f"the model gives nan or inf for {broken.size:,} of {done:,} test images (the first: image {broken[0]}), "
            "expected probabilities; train again with a lower learning rate, --set train.learning_rate=..."
        )
    return out


def _measure(test: "Split", probabilities: "NDArray[np.float32]", classes: list[str], mistakes: int) -> dict[str, Any]:
    import numpy as np

    from components import metrics

    truth, predicted = test.labels, probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = predicted == truth
    n, correct = len(truth), int(right.sum())
    matrix = metrics.confusion(truth, predicted, len(classes))
    low, high = metrics.wilson(correct, n)
    error, bins = metrics.calibration(confidence, right)
    columns = zip(classes, *metrics.scores(matrix), matrix.sum(axis=1), strict=True)
    return {
        "n": n,
        "correct": correct,
        "accuracy": correct / n,
        "wilson_low": low,
        "wilson_high": high,
        "loss": metrics.log_loss(truth, probabilities),
        "macro_f1": metrics.macro_f1(matrix),
        "expected_calibration_error": error,
        "calibration": bins,
        "classes": classes,
        "per_class": [
            {"name": name, "precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
            for name, p, r, f, s in columns
        ],
        "confusion": matrix.tolist(),
        "mistakes": _worst(truth, predicted, confidence, mistakes),
    }


def _worst(
    truth: "NDArray[np.int64]", predicted: "NDArray[np.int64]", confidence: "NDArray[np.float64]", most: int
) -> list[dict[str, Any]]:
    """The *most* confident mistakes, the surest first; of equal ones the first in the split."""
    import numpy as np

    wrong = np.flatnonzero(predicted != truth)
    return [
        {"index": int(i), "truth": int(truth[i]), "predicted": int(predicted[i]), "probability": float(confidence[i])}
        for i in wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    ]


def _training(train: Path) -> dict[str, Any]:
    """What the check and the report need to know of the training, copied so that they read one file."""
    summary = json.loads((train / "summary.json").read_text())
    kept = {name: summary[name] for name in ("train_accuracy", "validation_accuracy")}
    return kept | {"training": {name: summary[name] for name in ("best_epoch", "epochs", "stopped_early")}}


def _draw(metrics: dict[str, Any], test: "Split", history: Path, folder: Path) -> None:
    import numpy as np

    from components import figures

    folder.mkdir()
    classes, mistakes = metrics["classes"], metrics["mistakes"]
    images = test.take(np.array([mistake["index"] for mistake in mistakes], np.int64))
    figures.confusion(metrics["confusion"], classes, folder / "confusion.png")
    figures.learning_curves(history, metrics["training"]["best_epoch"], folder / "learning-curves.png")
    figures.mistakes(images, mistakes, classes, folder / "mistakes.png")
    error = metrics["expected_calibration_error"]
    figures.calibration(metrics["calibration"], error, folder / "calibration.png")


def check(evaluate: Path, gate: Gate) -> list[Finding]:
    """An error where the accuracy is below the gate, a warning where training went much better than the test."""
    metrics = json.loads((evaluate / "metrics.json").read_text())
    return _below_gate(metrics, gate.min_accuracy) + _overfit(metrics, gate.max_overfit)


def _below_gate(metrics: dict[str, Any], least: float) -> list[Finding]:
    # A quotient of whole numbers is rounded to the nearest float exactly as the setting was when it was read, so
    # 9,800 of 10,000 equals 0.98 and the comparison is that of the two fractions.
    correct, n = metrics["correct"], metrics["n"]
    if correct / n >= least:
        return []
    training = metrics["training"]
    advice = f"train longer with --set train.epochs={2 * training['epochs']}"
    if training["stopped_early"]:
        advice = "training had stopped improving, so give it varied images with --set train.augment=shift,rotate"
    text = (
        f"accuracy {100 * correct / n:.{_digits(n)}f} % ({correct:,} of {n:,}; 95 % interval "
        f"{100 * metrics['wilson_low']:.2f} to {100 * metrics['wilson_high']:.2f}) is {_points(least - correct / n)} "
        f"below the gate of {100 * least:.6g} % (gate.min_accuracy); {advice}, "
        "or look at the mistakes: python -m pipeline report"
    )
    return [Finding("error", text)]


def _overfit(metrics: dict[str, Any], most: float) -> list[Finding]:
    gap = round(metrics["gap"], 9)  # 1.0 - 0.97 is 0.030000000000000027, and that is not above 0.03
    if gap <= most:
        return []
    text = (
        f"accuracy on the training images is {_points(gap)} above that on the test images "
        f"({100 * metrics['train_accuracy']:.2f} and {100 * metrics['accuracy']:.2f} %; at most {100 * most:.6g} "
        "expected, gate.max_overfit): over-fitted; raise train.dropout, or vary the images: --set train.augment=shift"
    )
    return [Finding("warning", text)]


def _digits(n: int) -> int:
    """Decimals of a percentage that tell one image of *n* from the next."""
    return max(2, len(str(n - 1)) - 2)


def _points(share: float) -> str:
    return f"{100 * share:.2f} points" if share >= 0.0001 else f"{100 * share:.1g} points"
