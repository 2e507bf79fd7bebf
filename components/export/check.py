"""Whether an exported file computes what the Keras model computes: judgements on parity.json."""

from typing import Any, Literal

from components.findings import Finding

TOLERANCE = 1e-4  # in probability, for formats that compute in float32

REMEDIES = {
    "float16": "leave float16 out of export.formats, or allow more with gate.max_export_loss",
    "dynamic": "leave dynamic out of export.formats, or allow more with gate.max_export_loss",
    "int8": "give it more images to set its ranges by: --set export.calibration_images=2000",
    "pruned": "prune less or train longer after it: --set export.sparsity=0.6 --set export.finetune_epochs=5",
}


def disagrees(measured: dict[str, Any], n: int) -> list[Finding]:
    """An error where a format that computes in float32 is not within TOLERANCE of Keras on all *n* images."""
    agree, difference = measured["agree"], measured["max_difference"]
    if agree == n and difference <= TOLERANCE:
        return []
    text = (
        f"{measured['path']} gives another class than the Keras model for {n - agree:,} of {n:,} test images and "
        f"differs by up to {difference:g} in probability; expected none and at most {TOLERANCE:g}. Make it again with "
        "python -m pipeline run --force export"
    )
    return [Finding("error", text)]


def loses(name: str, measured: dict[str, Any], right: int, n: int, most: float) -> list[Finding]:
    """An error where the format *name* loses more than *most* of the *n* images of which the Keras model gets *right*.

    Rounded weights are judged by this alone: on MNIST they moved a probability by up to 0.001 (float16), 0.02 (dynamic)
    and 0.15 (int8), and one class of 10,000. One image is the least that can be lost: where even that is more than
    *most*, one is a warning.
    """
    lost = right - measured["correct"]
    if lost <= 0 or lost / n <= most:
        return []
    severity: Literal["error", "warning"] = "warning" if lost == 1 and most else "error"
    text = (
        f"{measured['path']} is right for {measured['correct']:,} of {n:,} test images, the Keras model for {right:,}: "
        f"{100 * lost / n:.2f} points less, and at most {100 * most:.6g} are allowed (gate.max_export_loss); "
        f"{REMEDIES[name]}"
    )
    return [Finding(severity, text)]
