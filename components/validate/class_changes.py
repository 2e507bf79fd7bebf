"""Classes that appeared or disappeared since the champion was trained, reported before anything is trained on them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from components.data.classes import ClassChange, quoted
from components.findings import Finding


class ChampionClasses(NamedTuple):
    """The classes that the champion of the registered *model* knows, and whether a new one may know fewer."""

    classes: Sequence[str]
    model: str
    allow_removed: bool = False


def class_changes(classes: Sequence[str], known: ChampionClasses) -> Iterator[Finding]:
    """An error where the images show no class that the champion knows: it is of another project.

    Otherwise a warning about the classes that only one of them has.
    """
    change, champion = ClassChange.between(known.classes, classes), f"the champion of {known.model}"
    if not change.both:
        yield _other_project(f"the images show {quoted(classes)}, and {champion} knows {quoted(known.classes)}", known)
        return
    if change.added:
        yield Finding("warning", f"the images show {quoted(change.added)}, which {champion} does not know")
    if change.removed and not known.allow_removed:
        text = f"the images do not show {quoted(change.removed)}, which {champion} knows"
        how = "a model that lacks one is promoted only with --set gate.allow_removed_classes=true"
        yield Finding("warning", f"{text}; {how}")


def _other_project(text: str, known: ChampionClasses) -> Finding:
    if known.allow_removed:
        how = "python -m pipeline promote VERSION --force --reason TEXT"
        return Finding("warning", f"{text}; the two cannot be compared: promote the new version with {how}")
    return Finding(
        "error",
        f"{text}; give another project a model of its own with --set register.name=NAME, or allow that every class is "
        "replaced with --set gate.allow_removed_classes=true",
    )
