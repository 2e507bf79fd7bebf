"""Budgets of a device, as gates: the largest size of one exported file, and the longest time for one image."""

from components.export.formats import FORMATS
from components.findings import Finding
from components.settings.sections import Gate

SMALLER = "Train a smaller network, such as --set train.width=0.5, or allow more"
QUIETER = "Measure again on a quiet machine with python -m pipeline run --force export, or train a smaller network"


def over_budget(facts: dict[str, dict[str, float]], gate: Gate) -> list[Finding]:
    """An error for each bound of *gate* that the format `gate.budget_format` exceeds; a bound of 0 is none.

    *facts*: format -> bytes and median_ms, of one measurement.
    """
    if not (gate.max_bytes or gate.max_latency_ms or gate.max_latency_ratio):
        return []
    told, path = facts[gate.budget_format], FORMATS[gate.budget_format].path
    texts = []
    if gate.max_bytes and told["bytes"] > gate.max_bytes:
        texts.append(
            f"{path} has {told['bytes']:,} bytes; at most {gate.max_bytes:,} are allowed (gate.max_bytes). "
            f"{SMALLER} with --set gate.max_bytes={told['bytes']}"
        )
    if gate.max_latency_ms and told["median_ms"] > gate.max_latency_ms:
        texts.append(
            f"{path} takes {told['median_ms']:.3g} ms for one image on one thread; at most {gate.max_latency_ms:g} are "
            f"allowed (gate.max_latency_ms). {QUIETER}"
        )
    if gate.max_latency_ratio and (ratio := told["median_ms"] / facts["tflite"]["median_ms"]) > gate.max_latency_ratio:
        texts.append(
            f"{path} takes {ratio:.2f} times as long for one image as {FORMATS['tflite'].path}; at most "
            f"{gate.max_latency_ratio:g} times is allowed (gate.max_latency_ratio). {QUIETER}"
        )
    return [Finding("error", text) for text in texts]
