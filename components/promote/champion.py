"""The champion: the alias is moved first, the promotion log written second; what a crash leaves between is detected."""

from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from components.promote import approval
from components.registry import promotion_log
from components.registry.client import CHAMPION, Registry
from components.registry.model_version import ModelVersion
from components.registry.promotion_log import Action, Champion

# "unchanged": the version is the champion already; "undecided": the test images cannot tell which model is better
# "waiting": for a person's decision; "held": a person keeps the version as challenger
PromotionOutcome = Literal["promoted", "unchanged", "undecided", "left to a user", "waiting", "held"]


class Promoted(TypedDict):
    """What became of the alias: *version* is the champion, or was judged; *made* is False where nothing moved."""

    name: str
    version: str
    before: str | None
    made: bool
    outcome: NotRequired[PromotionOutcome]
    comparison: NotRequired[dict[str, Any] | None]
    reason: NotRequired[str]
    warnings: NotRequired[list[str]]


def make_champion(
    registry: Registry,
    version: ModelVersion,
    log: Path,
    action: Action,
    reason: str,
    who: str,
    comparison: dict[str, Any] | None = None,
    run: str = "",
) -> None:
    """Move the alias `champion` to *version* and record it; nobody has to decide about older versions any more."""
    before = Champion.of(registry.alias(version.name, CHAMPION))
    registry.set_alias(version.name, CHAMPION, version.version)
    after = Champion.of(version)
    line = promotion_log.promotion(version.name, action, before, after, reason, who, comparison, run=run)
    promotion_log.append(log, line)
    number = int(version.version)
    approval.supersede(registry, version.name, number, f"version {number} became champion", log, who)


def recover(registry: Registry, name: str, log: Path, who: str) -> bool:
    """Record a move of the alias that is not in the log, for a crash or a user of MLflow made it; False if none is."""
    champion = registry.alias(name, CHAMPION)
    history = promotion_log.champion_history(promotion_log.read(log, name))
    last = history[-1] if history else Champion.of(None)
    if champion is None or last == Champion.of(champion):
        return False
    reason = f"the alias pointed at version {champion.version}, the log ended at {last.version or 'nothing'}"
    promotion_log.append(log, promotion_log.promotion(name, "recovered", last, Champion.of(champion), reason, who))
    return True


def last_champion(registry: Registry, name: str, log: Path) -> ModelVersion | Champion | None:
    """What a challenger is measured by: the champion; where it has lost its alias, the one that the log ends with.

    Somebody removed the alias in MLflow then, which makes no worse model acceptable. A Champion is gone from the
    registry; None: there has been none.
    """
    if champion := registry.alias(name, CHAMPION):
        return champion
    history = promotion_log.champion_history(promotion_log.read(log, name))
    there = {Champion.of(version): version for version in registry.versions(name)}
    return there.get(history[-1], history[-1]) if history else None


def present_champion(registry: Registry, name: str, log: Path) -> ModelVersion | None:
    """The same, None where it is gone from the registry."""
    last = last_champion(registry, name, log)
    return last if isinstance(last, ModelVersion) else None


def former_champions(registry: Registry, champion: ModelVersion, log: Path) -> list[ModelVersion]:
    """The champions before *champion* that the registry still has, as the same models; the latest first."""
    versions = {Champion.of(version): version for version in registry.versions(champion.name)}
    history = reversed(promotion_log.champion_history(promotion_log.read(log, champion.name)))
    return [versions[old] for old in history if old in versions and old.version != champion.version]
