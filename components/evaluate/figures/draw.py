"""All figures of an evaluation, drawn from what evaluate wrote.

They are no part of the artifact of evaluate: a new colour predicts nothing again (pipeline.report.figures keeps them).

    confusion.png  learning-curves.png  mistakes.png  calibration.png  slices.png
    suspects.png  training-suspects.png             where labels of held-out, and of training images are suspected
    corruption-curves.png  corruption-samples.png   where corrupted images were measured
    augmented.png                                   where training augmented its images
"""

import json
from pathlib import Path

import numpy as np

from components.artifact_files import Metrics, Suspects
from components.data.splits import Split
from components.evaluate import corruptions
from components.evaluate.figures import analysis, augmentation
from components.evaluate.figures import metrics as figures


def draw(normalize: Path, train: Path, evaluate: Path, out: Path) -> None:
    """Write the figures of the artifact *evaluate* of the model *train* to the folder *out*, which exists."""
    metrics: Metrics = json.loads((evaluate / "metrics.json").read_bytes())
    suspects: Suspects = json.loads((evaluate / "suspects.json").read_bytes())
    splits = {part: Split(normalize / part) for part in ("test", "validation", "train")}
    classes, mistakes = metrics["classes"], metrics["mistakes"]
    images = splits["test"].take(np.array([mistake["index"] for mistake in mistakes], np.int64))
    figures.confusion(metrics["confusion"], classes, out / "confusion.png")
    figures.learning_curves(train / "history.csv", metrics["training"]["best_epoch"], out / "learning-curves.png")
    figures.mistakes(images, mistakes, classes, out / "mistakes.png")
    figures.calibration(metrics["calibration"], metrics["expected_calibration_error"], out / "calibration.png")
    analysis.slices(metrics, out / "slices.png")
    analysis.suspects(splits, suspects["suspects"], classes, out / "suspects.png")
    analysis.suspects(splits, suspects.get("training_suspects", []), classes, out / "training-suspects.png")
    if (file := evaluate / "corruptions.json").is_file():
        analysis.corruption_curves(json.loads(file.read_bytes()), out / "corruption-curves.png")
        analysis.corruption_samples(corruptions.sheet(splits["test"]), out / "corruption-samples.png")
    augmentation.draw(normalize / "train", train / "summary.json", out / "augmented.png")
