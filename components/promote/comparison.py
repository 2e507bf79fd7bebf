"""Challenger against champion on the same test images: compared image by image, judged by the counts that differ.

Two models may know different classes, or number the same ones differently. So what each answers, the most probable of
all classes that it knows, is compared by name, on the test images of the classes that both know. Images of new classes
are counted apart: the champion cannot know them.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifact_files import Corruptions
from components.data.classes import ClassChange, counted, quoted
from components.findings import Finding
from components.formatting import percent
from components.promote import noninferiority
from components.promote.noninferiority import Outcome, Paired
from components.promote.predictions import Predictions, evaluated_classes
from components.settings.sections import Gate

if TYPE_CHECKING:  # a run with nothing to do compares nothing: it must not load NumPy
    from components.data.splits import Labels

FEW_IMAGES = 20  # on fewer, one image makes a difference of five points
COLLAPSE = 0.3  # of the champion's accuracy: more than images of the same kind bring about


@dataclass(frozen=True)
class Comparison:
    """Two models on the same *n* test images, all of classes that both know.

    Only the challenger gets *gained* right, only the champion *lost*. Beside them there are *added_n* test images of
    classes that the champion does not know, of which the challenger gets *added_correct* right.
    """

    n: int
    challenger_correct: int
    champion_correct: int
    gained: int
    lost: int
    p: float  # McNemar's exact test, two-sided
    classes: ClassChange = field(default_factory=ClassChange)
    added_n: int = 0
    added_correct: int = 0

    @property
    def difference(self) -> str:
        """ "+0.42 points: 61 gained, 19 lost; McNemar's p 2.76e-06" """
        points = 100 * (self.gained - self.lost) / self.n
        return f"{points:+.2f} points: {self.gained} gained, {self.lost} lost; McNemar's p {self.p:.3g}"

    def __str__(self) -> str:
        images = f"{self.n:,} test images of the {counted(len(self.classes.both))} that both know"
        return (
            f"{self.challenger_correct:,} right against the champion's {self.champion_correct:,} of "
            f"{images if self.classes else f'{self.n:,}'} ({self.difference})"
        )

    @property
    def paired(self) -> Paired:
        return Paired(self.n, self.gained, self.lost)

    def in_full(self) -> str:
        """The comparison, and what there is beside it: classes that are new, classes that are no longer known."""
        added, removed = self.classes.added, self.classes.removed
        new = f"; new: {quoted(added)}, {self.added_correct:,} of {self.added_n:,} right" if added else ""
        return f"{self}{new}{f'; no longer known: {quoted(removed)}' if removed else ''}"

    def record(self, gate: Gate) -> dict[str, Any]:
        """The comparison as JSON, for the promotion log and the report, with its outcome and one-sided bounds."""
        names = {f"{which}_classes": list(of) for which, of in asdict(self.classes).items()}
        low, high = noninferiority.bounds(self.paired, gate.confidence)
        judged = {"outcome": outcome(self, gate), "low": low, "high": high, "confidence": gate.confidence}
        return asdict(self) | {"classes": len(self.classes.both)} | names | judged


def compare(challenger: Predictions, champion: Predictions, labels: "Labels") -> Comparison:
    """Compare the predictions image by image; *labels* (N,) are positions in the challenger's classes."""
    import numpy as np

    from components.metrics import discordant, mcnemar

    names = set(champion.classes)
    known = np.array([name in names for name in challenger.classes])[labels]
    truth = labels[known]
    first, second = (predictions.numbered_as(challenger.classes) for predictions in (challenger, champion))
    gained, lost = discordant(truth, first[known], second[known])
    return Comparison(
        n=len(truth),
        challenger_correct=int((first == labels)[known].sum()),
        champion_correct=int((second == labels)[known].sum()),
        gained=gained,
        lost=lost,
        p=mcnemar(gained, lost),
        classes=ClassChange.between(champion.classes, challenger.classes),
        added_n=int((~known).sum()),
        added_correct=int((first == labels)[~known].sum()),
    )


def outcome(comparison: Comparison, gate: Gate) -> Outcome:
    """Whether the challenger is worse than the champion by more than gate.max_regression."""
    return noninferiority.judge(comparison.paired, comparison.p, gate.max_regression, gate.confidence)


def judge(comparison: Comparison, gate: Gate) -> list[Finding]:
    """An error where the challenger is worse than the champion by more than gate.max_regression with gate.confidence.

    A warning where the test images cannot tell. Where their classes differ, an error also where none of the new ones
    has been learned, and where one is no longer known unless gate.allow_removed_classes is set.
    """
    return [*_regression(comparison, gate), *_class_change(comparison, gate)]


def _regression(comparison: Comparison, gate: Gate) -> Iterator[Finding]:
    match outcome(comparison, gate):
        case "worse":
            text = (
                f"the challenger has {comparison}; a model that is more than {100 * gate.max_regression:.6g} points "
                "worse is not promoted (gate.max_regression)"
            )
            yield Finding("error", text)
        case "undecided":
            yield Finding("warning", undecided(comparison, gate))


def undecided(comparison: Comparison, gate: Gate) -> str:
    """Why the test images cannot tell whether the challenger is worse, and how many could."""
    paired, margin, confidence = comparison.paired, gate.max_regression, gate.confidence
    low, high = noninferiority.bounds(paired, confidence)
    images = noninferiority.images_needed(paired, margin, confidence)
    many = f"about {float(f'{images:.2g}'):,.0f}" if images else f"more than {noninferiority.MOST_IMAGES:,}"
    return (
        f"the challenger has {comparison}, and {comparison.n:,} test images cannot tell whether it is worse by more "
        f"than {100 * margin:.6g} points (gate.max_regression): between {100 * low:+.2f} and {100 * high:+.2f} points, "
        f"each bound with {100 * confidence:g} % confidence (gate.confidence). A loss of this size would show on "
        f"{many} test images"
    )


def _class_change(comparison: Comparison, gate: Gate) -> Iterator[Finding]:
    added, removed, n = comparison.classes.added, comparison.classes.removed, comparison.n
    if comparison.classes and n < FEW_IMAGES:
        yield Finding(
            "warning",
            f"champion and challenger are compared on {n:,} test images only, those of the "
            f"{counted(len(comparison.classes.both))} that both know; use a larger test split",
        )
    if removed:
        text = f"the challenger no longer knows {quoted(removed)}, which the champion knows"
        how = "; add the images again, or accept the loss with --set gate.allow_removed_classes=true"
        yield Finding("warning", text) if gate.allow_removed_classes else Finding("error", text + how)
    if added and not comparison.added_n:
        yield Finding("warning", f"no test image shows a new class: how well {quoted(added)} is known is not measured")
    elif added and not comparison.added_correct:
        text = (
            f"the challenger has 0 of {comparison.added_n:,} test images of what is new ({quoted(added)}) right; train "
            "longer, or on more images of it"
        )
        yield Finding("error", text)


def collapse(comparison: Comparison, accuracy: float | None) -> list[Finding]:
    """A warning where the champion, which had *accuracy* on its own test images, is lost on these.

    They may be another project's, whose classes have the same names: `good` and `bad`, or digits.
    """
    here = comparison.champion_correct / comparison.n
    if accuracy is None or accuracy - here <= COLLAPSE:
        return []
    text = (
        f"the champion has {percent(here)} of these test images right, and had {percent(accuracy)} of its own; if they "
        "are another project's, give that a model of its own with --set register.name=NAME and roll back"
    )
    return [Finding("warning", text)]


def compare_corruption(challenger: Path, champion: Path | None) -> dict[str, dict[str, object]]:
    """{"challenger", "champion"}: the mean error on corrupted images and that of each kind.

    {} unless both evaluations, of which these are the folders, saw the same corrupted images of the same classes.
    """
    folders = [folder for folder in (challenger, champion) if folder]
    files = [folder / "corruptions.json" for folder in folders]
    measured: list[Corruptions] = [json.loads(file.read_bytes()) for file in files if file.is_file()]
    if len(measured) < 2 or measured[0]["digest"] != measured[1]["digest"]:
        return {}
    if evaluated_classes(folders[0]) != evaluated_classes(folders[1]):
        return {}
    errors = [
        {"mean": of_model["mean_error"], "kinds": {kind["name"]: kind["error"] for kind in of_model["kinds"]}}
        for of_model in measured
    ]
    return {"challenger": errors[0], "champion": errors[1]}
