"""The page of the registered models: what became of each, drawn and as a table, as one HTML file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from components.formatting import thousands
from components.registry.client import Registry
from components.registry.model_version import ModelVersion
from pipeline.home import Home
from pipeline.model_history import Event
from pipeline.model_pages.champion_chart import ChampionChart, champion_chart
from pipeline.model_pages.rendering import page

MOST_LISTED = 200  # events of a model in its table; `python -m pipeline history` has all

ReportLink = Callable[[str], str]  # the name of a run to the address of its report, "" where it has none


class Workspace(NamedTuple):
    """The models that one workspace knows, and what happened to them, or to the one that is shown."""

    registry: Registry
    events: Sequence[Event]


@dataclass(frozen=True)
class Row:
    """An event as a line of the table."""

    event: Event
    accuracy: str
    images: str
    report: str
    why: str


@dataclass(frozen=True)
class Model:
    """A registered model; its versions, the newest first, are those that can be compared."""

    name: str
    champion: ModelVersion | None
    chart: ChampionChart | None
    rows: Sequence[Row]
    more: int
    versions: Sequence[ModelVersion]


@dataclass(frozen=True)
class Surroundings:
    """Where the page is shown: the reports that it can link to, how it words what can be done about a refusal, and the
    address that compares two versions, if there is one."""

    report: ReportLink
    worded: Callable[[str], str] = str
    compare: str = ""


def render(workspaces: Sequence[Workspace], surroundings: Surroundings, name: str = "") -> str:
    """The page of the model *name*, or of every model that *workspaces* know."""
    models = _models(workspaces, surroundings, name)
    return page("models.html.j2", models=models, compare=surroundings.compare)


def reports_of(homes: Sequence[Home], address: Callable[[Path], str]) -> ReportLink:
    """Links to the reports that *homes* have, by the *address* of the folder of a run."""

    def link(run: str) -> str:
        folders = [home.runs / run for home in homes] if run else []
        return next((address(folder) for folder in folders if (folder / "report.html").is_file()), "")

    return link


def _models(workspaces: Sequence[Workspace], surroundings: Surroundings, name: str) -> list[Model]:
    """The models, that of the newest event first; those that were registered and nothing more come last."""
    happened: dict[str, list[Event]] = {}
    registries: dict[str, Registry] = {}
    for workspace in workspaces:
        for event in workspace.events:
            happened.setdefault(event.name, []).append(event)
            registries.setdefault(event.name, workspace.registry)
    for workspace in workspaces:
        for model in [name] if name else workspace.registry.names():
            registries.setdefault(model, workspace.registry)
    newest_first = sorted(registries, key=lambda model: max((e.time for e in happened.get(model, ())), default=""))
    return [
        _model(model, happened.get(model, []), registries[model].versions(model), surroundings)
        for model in reversed(newest_first)
    ]


def _model(name: str, happened: Sequence[Event], versions: Sequence[ModelVersion], surroundings: Surroundings) -> Model:
    happened = sorted(happened, key=lambda event: event.time, reverse=True)  # of several workspaces
    champion = next((version for version in versions if "champion" in version.aliases), None)
    rows = [_row(event, surroundings) for event in happened[:MOST_LISTED]]
    return Model(name, champion, champion_chart(happened), rows, len(happened) - len(rows), versions[::-1])


def _row(event: Event, surroundings: Surroundings) -> Row:
    images = event.figures.training_images
    return Row(
        event,
        event.figures.shown(),
        "" if images is None else thousands(images),
        surroundings.report(event.run),
        surroundings.worded(event.reason),
    )
