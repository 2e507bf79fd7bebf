"""Commands that look back at the registered models: history, compare."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from components.errors import ConfigError
from components.formatting import percent, points, thousands
from components.public_text import public
from pipeline.cli.options import JSON, MODEL, NAME, Option, command, home
from pipeline.cli.output import print_facts, print_json, print_table
from pipeline.cli.registry import check_name, only, run_of

if TYPE_CHECKING:
    from components.data.problems import ImageAt
    from pipeline.measured import Figures
    from pipeline.model_comparison import ModelComparison, Side
    from pipeline.model_history import Event

NOTHING = "no model was promoted or refused yet; 'make pipeline' trains the first"
SHOWN = 5  # images that are named of each kind
# what the table of a comparison shows, beside accuracy and training images: its title, its name, its format
NUMBERS = (
    ("macro F1", "macro_f1", ".4f"),
    ("log loss", "loss", ".4f"),
    ("calibration error", "expected_calibration_error", ".4f"),
    ("error on corrupted images", "corruption_error", ".4f"),
    ("parameters", "parameters", ",d"),
    ("test images", "n", ",d"),
)
TAGS = (("source", "source"), ("git commit", "git_commit"))


@command(
    "list what became of each model: promotions, rollbacks and refusals, the newest first",
    JSON,
    NAME,
)
def history(options: Namespace) -> int:
    from components.registry.client import Registry
    from pipeline.model_history import events

    check_name(options.name)
    workspace = home()
    happened = events(workspace, Registry(workspace.tracking_uri), options.name)
    if options.json:
        print_json([_event_json(event) for event in happened])
    elif not happened:
        raise ConfigError(
            f"no {options.name} was promoted or refused; python -m pipeline history lists all models"
            if options.name
            else NOTHING
        )
    else:
        print_table(("time", "model", "", "version", "accuracy", "images", "by", "why"), map(_event_row, happened))
    return 0


def _event_json(event: "Event") -> dict[str, object]:
    return {**asdict(event), "figures": event.figures._asdict()}


def _event_row(event: "Event") -> tuple[str, ...]:
    images = event.figures.training_images
    return (
        *(event.time.replace("T", " ").removesuffix("Z"), event.name, event.kind, event.version),
        *(_accuracy(event.figures), "" if images is None else thousands(images), event.who or event.run),
        event.reason,
    )


def _accuracy(figures: "Figures") -> str:
    """ "99.52 % (99.36 to 99.64)" """
    if figures.accuracy is None:
        return ""
    low, high = figures.wilson_low, figures.wilson_high
    interval = f" ({points(low)} to {points(high)})" if low is not None and high is not None else ""
    return f"{percent(figures.accuracy)}{interval}"


@command(
    "compare two registered versions: figures, settings, and the test images that differ",
    JSON,
    Option("before", metavar="A", help="a version's number, or an alias such as champion"),
    Option("after", metavar="B", help="the version that is compared with A"),
    MODEL,
)
def compare(options: Namespace) -> int:
    from components.registry.client import Registry
    from pipeline.model_comparison import find, of_versions

    check_name(options.name)
    workspace = home()
    registry = Registry(workspace.tracking_uri)
    name = options.name or only(registry.names())
    found = of_versions(workspace, *(find(registry, name, version) for version in (options.before, options.after)))
    if options.json:
        print_json(_comparison_json(found))
        return 0
    sides = (found.before, found.after)
    print_table((name, *(_title(side) for side in sides)), _rows(*sides))
    print_facts(list(_facts(found)))
    return 0


def _title(side: "Side") -> str:
    return " ".join((f"version {side.version.version}", *(f"@{alias}" for alias in side.version.aliases)))


def _rows(*sides: "Side") -> Iterator[Sequence[str]]:
    """A line for each figure that one of *sides* has."""
    rows = [("accuracy", *(_accuracy(side.figures) for side in sides))]
    for title, name, shown in NUMBERS:
        rows.append((title, *(format(side.numbers[name], shown) if name in side.numbers else "" for side in sides)))
    images = [side.figures.training_images for side in sides]
    rows.append(("training images", *("" if count is None else thousands(count) for count in images)))
    for title, tag in TAGS:
        rows.append((title, *(side.version.tags.get(tag, "") for side in sides)))
    rows.append(("run", *(run_of(side.version) for side in sides)))
    yield from (row for row in rows if any(row[1:]))


def _facts(found: "ModelComparison") -> Iterator[tuple[str, str]]:
    """What differs, a line each."""
    if found.paired:
        yield (
            "difference",
            f"{found.paired.comparison.difference}, on {thousands(found.paired.comparison.n)} test images",
        )
        yield "gained", _named(found.paired.gained)
        yield "lost", _named(found.paired.lost)
    else:
        yield "images", "the two were not evaluated on the same test images, or an evaluation is gone"
    for number, change in enumerate(found.changes):
        yield "" if number else "changes", public(change)


def _named(images: "Sequence[ImageAt]") -> str:
    more = f" and {thousands(len(images) - SHOWN)} more" if len(images) > SHOWN else ""
    return ", ".join(map(str, images[:SHOWN])) + more


def _comparison_json(found: "ModelComparison") -> dict[str, object]:
    def side(of: "Side") -> dict[str, object]:
        version = of.version
        identity = {"name": version.name, "version": version.version, "aliases": list(version.aliases)}
        return {**identity, **of.numbers, **of.figures._asdict()}

    paired = None
    if found.paired:
        images = {
            "gained_images": list(map(str, found.paired.gained)),
            "lost_images": list(map(str, found.paired.lost)),
        }
        paired = {**asdict(found.paired.comparison), **images}
    return {"before": side(found.before), "after": side(found.after), "paired": paired, "changes": found.changes}
