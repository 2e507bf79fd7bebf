"""The bounds on what evaluate measured: a finding for each that the model misses. Reads numbers, loads no NumPy."""

from collections.abc import Sequence
from typing import Any

from components.findings import Finding
from components.settings.sections import Gate

MOST_TOLD = 3  # of the classes or slices below a bound, the worst ones; the others are counted
LOOK = "look at the mistakes: python -m pipeline report"


def judge(metrics: dict[str, Any], gate: Gate) -> list[Finding]:
    """An error for accuracy, each class, each slice and the error on spoilt images that miss their bound."""
    return [
        *_below_gate(metrics, gate.min_accuracy),
        *_classes(metrics["per_class"], gate.min_class_recall),
        *_slices(metrics["slices"]["parts"], gate.min_slice_accuracy),
        *_corruption(metrics.get("corruption_error"), gate.max_corruption_error),
    ]


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
        f"accuracy {100 * correct / n:.{digits(n)}f} % ({correct:,} of {n:,}; 95 % interval "
        f"{100 * metrics['wilson_low']:.2f} to {100 * metrics['wilson_high']:.2f}) is {points(least - correct / n)} "
        f"below the gate of {100 * least:.6g} % (gate.min_accuracy); {advice}, "
        "or look at the mistakes: python -m pipeline report"
    )
    return [Finding("error", text)]


def _classes(rows: Sequence[dict[str, Any]], least: float) -> list[Finding]:
    below = sorted((row for row in rows if row["support"] and row["recall"] < least), key=lambda row: row["recall"])
    texts = [
        f"recall of class {row['name']!r} is {_share(row['recall'], row)} of its {row['support']:,} test images, "
        f"below the bound of {100 * least:.6g} % (gate.min_class_recall); train on more images of it, or on balanced "
        f"classes with --set train.class_weights=balanced; {LOOK}"
        for row in below
    ]
    unknown = [row["name"] for row in rows if least and not row["support"]]
    return _errors(texts, "classes") + [
        Finding("warning", f"class {name!r} has no test image: gate.min_class_recall says nothing about it")
        for name in unknown[:MOST_TOLD]
    ]


def _slices(parts: Sequence[dict[str, Any]], least: float) -> list[Finding]:
    below = sorted((part for part in parts if part["accuracy"] < least), key=lambda part: part["accuracy"])
    texts = [
        f"accuracy on the {slice_name(part)} is {_share(part['accuracy'], part)} of {part['n']:,} test images, below "
        f"the bound of {100 * least:.6g} % (gate.min_slice_accuracy); train on more such images, or vary them with "
        f"--set train.augment=shift,rotate; {LOOK}"
        for part in below
    ]
    return _errors(texts, "slices")


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
            f"mean error on corrupted images is {100 * error:.2f} %, above the bound of {100 * most:.6g} % "
            "(gate.max_corruption_error); train on varied images with --set train.augment=shift,rotate, or see "
            "which corruption it is: python -m pipeline report"
        )
    return [Finding("error", text)]


def _errors(texts: Sequence[str], what: str) -> list[Finding]:
    """The first of *texts* as errors; the last one tells how many more there are."""
    told = list(texts[:MOST_TOLD])
    if len(texts) > MOST_TOLD:
        told[-1] += f" ({len(texts) - MOST_TOLD} more {what} are below the bound)"
    return [Finding("error", text) for text in told]


def slice_name(part: dict[str, Any]) -> str:
    """ "slice 'thinnest' of stroke thickness (at most 1.93 pixels)" """
    low, high, unit = part["low"], part["high"], part["unit"]
    spans = {(True, False): "at most {high:.4g}", (False, True): "above {low:.4g}"}
    span = spans.get((low is None, high is None), "{low:.4g} to {high:.4g}").format(low=low, high=high)
    return f"slice {part['part']!r} of {part['property']} ({span}{'' if unit == '0 to 255' else f' {unit}'})"


def _share(share: float, interval: dict[str, Any]) -> str:
    return f"{100 * share:.2f} % ({100 * interval['wilson_low']:.2f} to {100 * interval['wilson_high']:.2f})"


def digits(n: int) -> int:
    """Decimals of a percentage that tell one image of *n* from the next."""
    return max(2, len(str(n - 1)) - 2)


def points(share: float) -> str:
    return f"{100 * share:.2f} points" if share >= 0.0001 else f"{100 * share:.1g} points"
