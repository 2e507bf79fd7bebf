"""Challenger against champion on the same test images: compared image by image, judged by McNemar's counts."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.artifact_files import Corruptions
from components.findings import Finding
from components.settings.sections import Gate

if TYPE_CHECKING:  # a run with nothing to do compares nothing: it must not load NumPy
    from components.data.splits import Labels
    from components.models.prediction import Probabilities


@dataclass(frozen=True)
class Comparison:
    """Two models on the same *n* test images; only the challenger gets *gained* right, only the champion *lost*."""

    n: int
    challenger_correct: int
    champion_correct: int
    gained: int
    lost: int
    p: float  # McNemar's exact test, two-sided

    def __str__(self) -> str:
        points = 100 * (self.gained - self.lost) / self.n
        return (
            f"{self.challenger_correct:,} right against the champion's {self.champion_correct:,} of {self.n:,} "
            f"({points:+.2f} points: {self.gained} gained, {self.lost} lost; McNemar's p {self.p:.3g})"
        )


def compare(challenger: "Probabilities", champion: "Probabilities", labels: "Labels") -> Comparison:
    """Compare the predictions image by image; probabilities are (N, classes), labels (N,)."""
    from components.metrics import discordant, mcnemar

    first, second = challenger.argmax(axis=1), champion.argmax(axis=1)
    gained, lost = discordant(labels, first, second)
    correct = int((first == labels).sum()), int((second == labels).sum())
    return Comparison(len(labels), *correct, gained, lost, mcnemar(gained, lost))


def judge(comparison: Comparison, gate: Gate) -> list[Finding]:
    """An error where the challenger is worse than the champion by more than gate.max_regression."""
    regression = (comparison.lost - comparison.gained) / comparison.n
    if regression <= gate.max_regression:
        return []
    text = (
        f"the challenger has {comparison}; a model that is more than {100 * gate.max_regression:.6g} points worse is "
        "not promoted (gate.max_regression)"
    )
    return [Finding("error", text)]


def compare_corruption(challenger: Path, champion: Path | None) -> dict[str, dict[str, object]]:
    """{"challenger", "champion"}: the mean error on corrupted images and that of each kind.

    {} unless both evaluations, of which these are the folders, saw the same corrupted images.
    """
    files = [folder / "corruptions.json" for folder in (challenger, champion) if folder]
    measured: list[Corruptions] = [json.loads(file.read_bytes()) for file in files if file.is_file()]
    if len(measured) < 2 or measured[0]["digest"] != measured[1]["digest"]:
        return {}
    errors = [
        {"mean": of_model["mean_error"], "kinds": {kind["name"]: kind["error"] for kind in of_model["kinds"]}}
        for of_model in measured
    ]
    return {"challenger": errors[0], "champion": errors[1]}
