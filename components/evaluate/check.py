"""The verdict on an evaluation: an error for each bound that the model misses, a warning for each training problem.

Reads metrics.json and history.csv; standard library only.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from components.artifact_files import ClassScores, Metrics, Mistake, Slice, Suspects
from components.errors import ModelRejected
from components.evaluate import baseline, diagnosis, wear
from components.findings import Finding
from components.formatting import bound, percent, percentage_points, points
from components.settings.sections import Gate, Train

REJECTION = ModelRejected
MIN_SUPPORT = 5  # test images of a class of which a model has to recognize at least one
MOST_NAMED = 5  # files among the mistakes and the suspected labels
MOST_LISTED = 3  # of the classes or slices below a bound, the worst ones; the others are counted
LOOK = "look at the mistakes: python -m pipeline report"


def check(evaluate: Path, train: Path, training: Train, gate: Gate, judged: int = 1) -> list[Finding]:
    """Judge the evaluation in *evaluate* of the model in *train*, which was trained with the settings *training*.

    *judged* is the number of models, this one too, that the test split has judged.
    """
    metrics: Metrics = json.loads((evaluate / "metrics.json").read_bytes())
    suspects: Suspects = json.loads((evaluate / "suspects.json").read_bytes())
    diagnoses = diagnosis.read(train, metrics, training, gate)
    return [
        *check_bounds(metrics, gate, next((found.advice for found in diagnoses if found.present), "")),
        *diagnosis.warnings(diagnoses),
        *_wear(metrics, judged),
        *_no_bound(metrics, gate),
        *_files(metrics, suspects),
    ]


def _files(metrics: Metrics, suspects: Suspects) -> list[Finding]:
    """Notes that name the first files among the mistakes and the suspected labels; none for other sources."""
    classes, wrong = metrics["classes"], metrics["n"] - metrics["correct"]
    counts = {name: split["suspects"] for name, split in suspects["splits"].items()}
    in_training = counts.pop("train", 0)
    doubtful = sum(counts.values())
    groups: tuple[tuple[str, int, Sequence[Mistake]], ...] = (
        (f"{wrong:,} of {metrics['n']:,} test images are misclassified", wrong, metrics["mistakes"]),
        (f"{doubtful:,} labels are suspected to be wrong", doubtful, suspects["suspects"]),
        (
            f"{in_training:,} labels of training images are suspected to be wrong",
            in_training,
            suspects.get("training_suspects", []),
        ),
    )
    return [
        Finding("note", f"{text}: {_listed([_named(mistake, classes) for mistake in listed[:MOST_NAMED]], count)}")
        for text, count, listed in groups
        if listed and "file" in listed[0]
    ]


def _named(mistake: Mistake, classes: Sequence[str]) -> str:
    truth, predicted = classes[mistake["truth"]], classes[mistake["predicted"]]
    return f"{mistake.get('file', '')} ({truth!r} -> {predicted!r}, {percent(mistake['probability'], 0)})"


def _listed(names: Sequence[str], count: int) -> str:
    return ", ".join(names) + (f" and {count - len(names):,} more" if count > len(names) else "")


def check_bounds(metrics: Metrics, gate: Gate, advice: str = "") -> list[Finding]:
    """An error for accuracy, each class, each slice and the error on corrupted images that miss their bound.

    *advice* is that of the diagnosis, so that an error and a warning of one run agree. No setting lets a model pass
    that is no better than the baseline, or never recognizes a class.
    """
    return [
        *_no_better_than_the_baseline(metrics),
        *_never_recognized(metrics["per_class"], advice),
        *_accuracy(metrics, gate.min_accuracy, advice),
        *_classes(metrics["per_class"], gate.min_class_recall),
        *_slices(metrics["slices"]["parts"], gate.min_slice_accuracy),
        *_corruption(metrics.get("corruption_error"), gate.max_corruption_error),
    ]


def _no_better_than_the_baseline(metrics: Metrics) -> list[Finding]:
    base, (correct, n) = baseline.of(metrics), (metrics["correct"], metrics["n"])
    if base.beaten:
        return []
    text = (
        f"accuracy {percent(correct / n, _decimals(n))} ({correct:,} of {n:,}) is not better than always answering "
        f"{metrics['per_class'][base.answer]['name']!r} ({percent(base.accuracy, _decimals(n))}) by more than "
        f"chance: one-sided exact p {base.p:.2g}, expected at most {baseline.ALPHA:g}; {_more_test_images(base)}"
    )
    return [Finding("error", text)]


def _more_test_images(base: baseline.Baseline) -> str:
    """What to do about it: the test split may be too small for any model to pass."""
    if base.n < base.fewest:
        return (
            f"on so few test images not even a model without a mistake is: it takes at least {base.fewest:,} with "
            "these class shares. Add images, of the rarer classes first"
        )
    return f"see the diagnosis of the training, or {LOOK}"


def _no_bound(metrics: Metrics, gate: Gate) -> list[Finding]:
    """A note where no accuracy is required, with the setting that requires what was reached."""
    if gate.min_accuracy:
        return []
    text = (
        "no accuracy is required beyond the baseline; to require what was reached: "
        f"--set gate.min_accuracy={baseline.gate_reached(metrics):g}"
    )
    return [Finding("note", text)]


def _wear(metrics: Metrics, judged: int) -> list[Finding]:
    """A note on what the interval is worth after *judged* models, a warning where they are too many."""
    if judged <= 1:
        return []
    worn = wear.of(metrics, judged)
    text = (
        f"the test split has judged {worn.judged:,} models; the 95 % interval of the accuracy that holds for "
        f"{worn.models:,} is {points(worn.low)} to {percent(worn.high)}"
    )
    if not worn.worn:
        return [Finding("note", text)]
    due = "fresh test images are due: add some that no model was judged by, or replace them all"
    return [Finding("warning", f"{text}; {due}")]


def _never_recognized(rows: Sequence[ClassScores], advice: str) -> list[Finding]:
    never = [row for row in rows if row["support"] >= MIN_SUPPORT and not row["recall"]]
    texts = [
        f"none of the {row['support']:,} test images of class {row['name']!r} is recognized, and a model that never "
        f"recognizes a class of {MIN_SUPPORT} test images or more is always rejected; "
        f"{advice or 'train on more images of it'}, or {LOOK}"
        for row in sorted(never, key=lambda row: -row["support"])
    ]
    return _errors(texts, "classes are never recognized")


def _accuracy(metrics: Metrics, least: float, advice: str) -> list[Finding]:
    # A quotient of whole numbers is rounded to the nearest float exactly as the setting was when it was read, so
    # 9,800 of 10,000 equals 0.98 and the comparison is that of the two fractions.
    correct, n = metrics["correct"], metrics["n"]
    if correct / n >= least:
        return []
    text = (
        f"accuracy {percent(correct / n, _decimals(n))} ({correct:,} of {n:,}; 95 % interval "
        f"{points(metrics['wilson_low'])} to {points(metrics['wilson_high'])}) is "
        f"{percentage_points(least - correct / n)} below the gate of {bound(least)} (gate.min_accuracy); "
        f"{advice or _advice(metrics)}, or {LOOK}"
    )
    return [Finding("error", text)]


def _advice(metrics: Metrics) -> str:
    if metrics["training"]["stopped_early"]:
        return "training had stopped improving, so give it varied images with --set train.augment=shift,rotate"
    return f"train longer with --set train.epochs={2 * metrics['training']['epochs']}"


def _decimals(n: int) -> int:
    """Decimals of a percentage in which one image of *n* makes a difference."""
    return max(2, len(str(n - 1)) - 2)


def _classes(rows: Sequence[ClassScores], least: float) -> list[Finding]:
    below = sorted((row for row in rows if row["support"] and row["recall"] < least), key=lambda row: row["recall"])
    texts = [
        f"recall of class {row['name']!r} is {_interval(row['recall'], row)} of its {row['support']:,} test images, "
        f"below the bound of {bound(least)} (gate.min_class_recall); train on more images of it, or on balanced "
        f"classes with --set train.class_weights=balanced; {LOOK}"
        for row in below
    ]
    unknown = [row["name"] for row in rows if least and not row["support"]]
    return _errors(texts, "classes are below the bound") + [
        Finding("warning", f"class {name!r} has no test image: gate.min_class_recall cannot be checked")
        for name in unknown[:MOST_LISTED]
    ]


def _slices(parts: Sequence[Slice], least: float) -> list[Finding]:
    below = sorted((part for part in parts if part["accuracy"] < least), key=lambda part: part["accuracy"])
    texts = [
        f"accuracy on the {_slice_name(part)} is {_interval(part['accuracy'], part)} of {part['n']:,} test images, "
        f"below the bound of {bound(least)} (gate.min_slice_accuracy); train on more such images, or vary them with "
        f"--set train.augment=shift,rotate; {LOOK}"
        for part in below
    ]
    return _errors(texts, "slices are below the bound")


def _corruption(error: float | None, most: float) -> list[Finding]:
    if most >= 1 or (error is not None and error <= most):
        return []
    if error is None:
        text = (
            f"no corrupted images were measured, and gate.max_corruption_error is {most:g}; measure them with "
            "--set evaluate.corruption_images=1000"
        )
    else:
        text = (
            f"mean error on corrupted images is {percent(error)}, above the bound of {bound(most)} "
            "(gate.max_corruption_error); train on varied images with --set train.augment=shift,rotate, or see "
            "which corruption it is: python -m pipeline report"
        )
    return [Finding("error", text)]


def _errors(texts: Sequence[str], what: str) -> list[Finding]:
    """The first of *texts* as errors; the last one says how many more there are."""
    listed = list(texts[:MOST_LISTED])
    if len(texts) > MOST_LISTED:
        listed[-1] += f" ({len(texts) - MOST_LISTED} more {what})"
    return [Finding("error", text) for text in listed]


def _slice_name(part: Slice) -> str:
    """ "slice 'thinnest' of stroke thickness (at most 1.93 pixels)" """
    low, high = part["low"], part["high"]
    unit = "" if part["unit"] == "0 to 255" else f" {part['unit']}"
    if low is None:
        span = f"at most {high:.4g}"
    elif high is None:
        span = f"above {low:.4g}"
    else:
        span = f"{low:.4g} to {high:.4g}"
    return f"slice {part['part']!r} of {part['property']} ({span}{unit})"


def _interval(share: float, row: ClassScores | Slice) -> str:
    return f"{percent(share)} ({points(row['wilson_low'])} to {points(row['wilson_high'])})"
