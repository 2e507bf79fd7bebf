"""What a person is shown who decides whether a model is promoted: the model beside the champion, and what differs."""

from collections.abc import Iterator
from dataclasses import dataclass

from components.promote.champion import present_champion
from components.registry.approval import Approval, waiting
from components.registry.client import Registry
from components.registry.model_version import ModelVersion
from pipeline import side_by_side
from pipeline.home import Home
from pipeline.model_comparison import of_versions, side


@dataclass(frozen=True)
class PromotionRequest:
    """A version about which somebody has to decide until *until*, and the champion that it is compared with.

    *table* has a column for each of the two, its first row their titles; *differences* are a line each.
    """

    name: str
    version: str
    champion: str | None
    until: str
    table: list[list[str]]
    differences: list[tuple[str, str]]


def pending(home: Home, registry: Registry, name: str) -> Iterator[PromotionRequest]:
    """Every request about the model *name* that waits, the oldest first."""
    for version in waiting(registry.versions(name)):
        yield request(home, registry, version)


def request(home: Home, registry: Registry, version: ModelVersion) -> PromotionRequest:
    """The request about *version*, which waits."""
    approval = Approval.of(version)
    assert approval
    champion = present_champion(registry, version.name, home.promotions)
    if champion and champion.version != version.version:
        comparison = of_versions(home, champion, version)
        sides, differences = [comparison.after, comparison.before], list(side_by_side.differences(comparison))
    else:
        sides, differences = [side(home, version)], []
    if not approval.is_about(champion):
        was = f"version {approval.champion}" if approval.champion else "none"
        differences.append(("outdated", f"the champion was {was} when this was asked; run `make pipeline` again"))
    head = ["", *map(side_by_side.title, sides)]
    table = [head, *map(list, side_by_side.rows(*sides))]
    return PromotionRequest(version.name, version.version, approval.champion, approval.until, table, differences)
