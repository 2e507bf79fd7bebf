"""Commands that look back at the registered models: history, compare."""

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import ConfigError
from components.formatting import thousands
from components.system.files import expanded, write_atomically
from components.system.streams import answer
from pipeline.cli.options import JSON, MODEL, NAME, Option, command, home
from pipeline.cli.output import print_facts, print_json, print_table
from pipeline.cli.registry import check_name, only

if TYPE_CHECKING:
    from pipeline.model_comparison import ModelComparison, Side
    from pipeline.model_history import Event

NOTHING = "no model was promoted or refused yet; 'make pipeline' trains the first"
HTML = Option("--html", default="", metavar="FILE", help="write a page with pictures to FILE")


@command(
    "list what became of each model: promotions, rollbacks and refusals, the newest first",
    JSON,
    HTML,
    NAME,
)
def history(options: Namespace) -> int:
    from components.registry.client import Registry
    from pipeline.model_history import events

    check_name(options.name)
    workspace = home()
    registry = Registry(workspace.tracking_uri)
    happened = events(workspace, registry, options.name)
    if options.json:
        print_json([_event_json(event) for event in happened])
    elif not happened:
        raise ConfigError(
            f"no {options.name} was promoted or refused; python -m pipeline history lists all models"
            if options.name
            else NOTHING
        )
    elif options.html:
        from pipeline.model_pages import models_page

        reports = models_page.reports_of([workspace], lambda run: (run / "report.html").as_uri())
        known = models_page.Workspace(registry, happened)
        page = models_page.render([known], models_page.Surroundings(reports), options.name)
        _write_page(options.html, page)
    else:
        print_table(("time", "model", "", "version", "accuracy", "images", "by", "why"), map(_event_row, happened))
    return 0


def _event_json(event: "Event") -> dict[str, object]:
    return {**asdict(event), "figures": event.figures._asdict()}


def _event_row(event: "Event") -> tuple[str, ...]:
    images = event.figures.training_images
    return (
        *(event.time.replace("T", " ").removesuffix("Z"), event.name, event.kind, event.version),
        *(event.figures.shown(), "" if images is None else thousands(images), event.who or event.run),
        event.reason,
    )


@command(
    "compare two registered versions: figures, settings, and the test images that differ",
    JSON,
    HTML,
    Option("before", metavar="A", help="a version's number, or an alias such as champion"),
    Option("after", metavar="B", help="the version that is compared with A"),
    MODEL,
)
def compare(options: Namespace) -> int:
    from components.registry.client import Registry
    from pipeline import side_by_side
    from pipeline.model_comparison import find, of_versions

    check_name(options.name)
    workspace = home()
    registry = Registry(workspace.tracking_uri)
    name = options.name or only(registry.names())
    comparison = of_versions(workspace, *(find(registry, name, version) for version in (options.before, options.after)))
    if options.html:
        from pipeline.model_pages import comparison_page

        _write_page(options.html, comparison_page.render(comparison))
    elif options.json:
        print_json(_comparison_json(comparison))
    else:
        sides = (comparison.before, comparison.after)
        print_table((name, *map(side_by_side.title, sides)), side_by_side.rows(*sides))
        print_facts(side_by_side.differences(comparison))
    return 0


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


def _write_page(file: str, page: str) -> None:
    path = Path(expanded(file))
    try:
        write_atomically(path, page)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); give --html another file") from None
    answer(str(path))
