"""The verdict on exported files: each against the Keras model, and one of them against the budgets of a device.

Reads parity.json; standard library only.
"""

import json
from pathlib import Path

from components.artifact_files import FormatParity, Parity
from components.errors import ExportRejected
from components.export.formats import format_of
from components.findings import Finding
from components.formatting import points
from components.proportions import upper_tail
from components.settings.sections import Gate

REJECTION = ExportRejected
TOLERANCE = 1e-4  # in probability, for formats that compute in float32
LEVEL = 0.05  # of the test that a format is less accurate than the Keras model

SMALLER = "Train a smaller network, such as --set train.width=0.5, or allow more"
QUIETER = "Measure again on a quiet machine with python -m pipeline run --force export, or train a smaller network"


def check(export: Path, gate: Gate, facts: dict[str, dict[str, float]]) -> list[Finding]:
    """An error for each format that differs from the Keras model by the measure that fits it, and for each budget that
    the format `gate.budget_format` exceeds; *facts* is what `export` returned when it wrote the files.
    """
    parity: Parity = json.loads((export / "parity.json").read_bytes())
    findings: list[Finding] = []
    for name, measured in parity["formats"].items():
        if format_of(name).exact:
            findings += disagreement(measured, parity["n"])
        else:
            findings += lost_accuracy(name, measured, parity, gate.max_export_loss)
    return findings + over_budget(facts, gate)


def disagreement(measured: FormatParity, n: int) -> list[Finding]:
    """An error where a format that computes in float32 is not within TOLERANCE of Keras on all *n* images."""
    agree, difference = measured["agree"], measured["max_difference"]
    if agree == n and difference <= TOLERANCE:
        return []
    text = (
        f"{measured['path']} gives another class than the Keras model for {n - agree:,} of {n:,} test images and "
        f"differs by up to {difference:g} in probability; expected none and at most {TOLERANCE:g}. Export again with "
        "python -m pipeline run --force export"
    )
    return [Finding("error", text)]


def lost_accuracy(name: str, measured: FormatParity, parity: Parity, most: float) -> list[Finding]:
    """An error where the format *name* loses more than the share *most* of the test images to the Keras model.

    Rounded weights are judged by this alone: on MNIST they moved a probability by up to 0.001 (float16), 0.02 (dynamic)
    and 0.15 (int8), and one class of 10,000. Few test images show a loss by chance: where McNemar's exact test of equal
    accuracy does not reject, one-sided at LEVEL, it is a warning, except for a *most* of 0.
    """
    n, right = parity["n"], parity["keras"]["correct"]
    loss = right - measured["correct"]
    if loss / n <= most:
        return []
    p = upper_tail(measured["lost"], measured["lost"] + measured["gained"], 0.5)
    certain = p <= LEVEL or not most
    text = (
        f"{measured['path']} is right for {measured['correct']:,} of {n:,} test images, the Keras model for {right:,}: "
        f"{points(loss / n)} points less, and at most {100 * most:.6g} are allowed (gate.max_export_loss); "
        + (format_of(name).remedy if certain else f"so few images may show that by chance (p = {p:.2f})")
    )
    return [Finding("error" if certain else "warning", text)]


def over_budget(facts: dict[str, dict[str, float]], gate: Gate) -> list[Finding]:
    """An error for each bound of *gate* that the format `gate.budget_format` exceeds; a bound of 0 is none.

    *facts*: format -> bytes and median_ms, of one measurement.
    """
    if not (gate.max_bytes or gate.max_latency_ms or gate.max_latency_ratio):
        return []
    measured, path = facts[gate.budget_format], format_of(gate.budget_format).path
    texts = []
    if gate.max_bytes and measured["bytes"] > gate.max_bytes:
        texts.append(
            f"{path} has {measured['bytes']:,} bytes; at most {gate.max_bytes:,} are allowed (gate.max_bytes). "
            f"{SMALLER} with --set gate.max_bytes={measured['bytes']}"
        )
    milliseconds = measured["median_ms"]
    if gate.max_latency_ms and milliseconds > gate.max_latency_ms:
        texts.append(
            f"{path} takes {milliseconds:.3g} ms for one image on one thread; at most {gate.max_latency_ms:g} are "
            f"allowed (gate.max_latency_ms). {QUIETER}"
        )
    if gate.max_latency_ratio and (ratio := milliseconds / facts["tflite"]["median_ms"]) > gate.max_latency_ratio:
        texts.append(
            f"{path} takes {ratio:.2f} times as long for one image as {format_of('tflite').path}; at most "
            f"{gate.max_latency_ratio:g} times is allowed (gate.max_latency_ratio). {QUIETER}"
        )
    return [Finding("error", text) for text in texts]
