"""Classes of very different size: a model may score well and never recognize the small ones. Standard library only."""

import json
from pathlib import Path

from components.artifact_files import Statistics
from components.findings import Finding
from components.settings.sections import Gate, Train

MOST = 10  # times as many training images as the rarest class has


def imbalance(validate: Path, training: Train, gate: Gate) -> list[Finding]:
    """A warning where the largest class is more than MOST times the smallest, with the settings that are still off."""
    statistics: Statistics = json.loads((validate / "statistics.json").read_bytes())
    counts = statistics["splits"]["train"]["histogram"]
    if not counts or len(counts) != len(statistics["classes"]) or max(counts) <= MOST * min(counts) or not min(counts):
        return []
    off = [
        *(["weigh the classes equally with --set train.class_weights=balanced"] * (training.class_weights == "none")),
        *(["require each to be recognized with --set gate.min_class_recall=0.5"] * (not gate.min_class_recall)),
    ]
    if not off:
        return []
    common, rare = (statistics["classes"][counts.index(extreme(counts))] for extreme in (max, min))
    text = (
        f"train: class {common!r} has {max(counts):,} images and class {rare!r} {min(counts):,}, "
        f"{max(counts) / min(counts):,.0f} to 1; {', and '.join(off)}"
    )
    return [Finding("warning", text)]
