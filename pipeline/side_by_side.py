"""Registered versions side by side, as a table and a few lines: for the command `compare`, and for who approves one."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from components.formatting import percent, size, thousands
from components.public_text import public
from pipeline.mlflow_run import RUN_TAG
from pipeline.model_comparison import ModelComparison, Side

if TYPE_CHECKING:
    from pipeline.model_comparison import ChangedImage

SHOWN = 5  # images, or classes, that are named of each kind
# the rows beside accuracy and training images: title, name, format
NUMBERS = (
    ("macro F1", "macro_f1", ".4f"),
    ("log loss", "loss", ".4f"),
    ("calibration error", "expected_calibration_error", ".4f"),
    ("error on corrupted images", "corruption_error", ".4f"),
    ("parameters", "parameters", ",d"),
    ("test images", "n", ",d"),
)
COMMIT = 12  # characters of a commit that are shown


def title(side: Side) -> str:
    return " ".join((f"version {side.version.version}", *(f"@{alias}" for alias in side.version.aliases)))


def rows(*sides: Side) -> Iterator[Sequence[str]]:
    """A line for each figure that one of *sides* has."""
    table = [("accuracy", *(side.figures.shown() for side in sides))]
    for name, number, shown in NUMBERS:
        table.append((name, *(format(side.numbers[number], shown) if number in side.numbers else "" for side in sides)))
    for form in dict.fromkeys(form for side in sides for form in side.exports):
        table.append((f"export {form}", *(_exported(side, form) for side in sides)))
    images = [side.figures.training_images for side in sides]
    table.append(("training images", *("" if count is None else thousands(count) for count in images)))
    tags = [side.version.tags for side in sides]
    table.append(("source", *(each.get("source", "") for each in tags)))
    table.append(("git commit", *(_commit(each.get("git_commit", "")) for each in tags)))
    table.append(("run", *(each.get(RUN_TAG, "") for each in tags)))
    yield from (row for row in table if any(row[1:]))


def _commit(tag: str) -> str:
    """ "c52387e95262+changes" """
    commit, plus, changes = tag.partition("+")
    return f"{commit[:COMMIT]}{plus}{changes}"


def _exported(side: Side, form: str) -> str:
    """ "98.7 kB, 0.312 ms an image" """
    if not (measured := side.exports.get(form)):
        return ""
    return f"{size(int(measured['bytes']))}, {measured['median_ms']:.3f} ms an image"


def differences(found: ModelComparison) -> Iterator[tuple[str, str]]:
    """What differs, a line each."""
    if found.paired:
        comparison = found.paired.comparison
        yield "difference", f"{comparison.difference}, on {thousands(comparison.n)} test images"
        yield "gained", _named(found.paired.gained)
        yield "lost", _named(found.paired.lost)
    else:
        yield "images", "the two were not evaluated on the same test images, or an evaluation is gone"
    yield "got worse", _named(worse_classes(found))
    for number, change in enumerate(found.changes):
        yield "" if number else "changes", public(change)


def worse_classes(found: ModelComparison) -> list[str]:
    """The classes of which the later version recognizes a smaller share, the largest loss first."""
    before, after = (_recalls(side) for side in (found.before, found.after))
    lost = {name: before[name] - after[name] for name in before if name in after and after[name] < before[name]}
    named = sorted(lost, key=lambda name: (-lost[name], name))
    return [f"{name} ({percent(before[name])} -> {percent(after[name])})" for name in named]


def _recalls(side: Side) -> dict[str, float]:
    metrics = side.measured.metrics
    return {scores["name"]: scores["recall"] for scores in metrics["per_class"]} if metrics else {}


def _named(things: "Sequence[ChangedImage | str]") -> str:
    more = f" and {thousands(len(things) - SHOWN)} more" if len(things) > SHOWN else ""
    return ", ".join(map(str, things[:SHOWN])) + more
