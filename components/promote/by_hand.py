"""Promotions by a user: make a version champion manually, or restore the previous champion."""

from pathlib import Path

from components.errors import ConfigError
from components.promote.champion import Promoted, make_champion, previous_champion, recover
from components.registry.client import CHAMPION, Registry
from components.registry.model_version import ROLLED_BACK_TAG


def force(registry: Registry, name: str, number: str, reason: str, who: str, log: Path) -> Promoted:
    """Make version *number* champion whatever the gates say; an earlier rollback from it no longer counts."""
    recover(registry, name, log, who)
    version = registry.version(name, number)
    if version is None:
        known = ", ".join(v.version for v in registry.versions(name)) or "none"
        raise ConfigError(f"{name} has no version {number!r}; its versions are: {known} (python -m pipeline models)")
    champion = registry.alias(name, CHAMPION)
    before = champion.version if champion else None
    if before == number:
        return {"name": name, "version": number, "before": before, "made": False}
    if ROLLED_BACK_TAG in version.tags:
        registry.delete_tag(name, number, ROLLED_BACK_TAG)
    make_champion(registry, version, log, "force", reason, who)
    return {"name": name, "version": number, "before": before, "made": True}


def rollback(registry: Registry, name: str, reason: str, who: str, log: Path) -> Promoted:
    """Restore the previous champion; the version that loses the alias is never promoted automatically again."""
    recover(registry, name, log, who)
    champion = registry.alias(name, CHAMPION)
    if champion is None:
        raise ConfigError(
            f"{name} has no champion to roll back from; python -m pipeline models lists its versions, and python -m "
            "pipeline promote VERSION --force --reason TEXT makes one champion"
        )
    previous = previous_champion(registry, champion, log)
    if previous is None:
        raise ConfigError(
            f"{name} has had no champion before version {champion.version}; to make another version champion manually: "
            "python -m pipeline promote VERSION --force --reason TEXT"
        )
    registry.set_tag(name, champion.version, ROLLED_BACK_TAG, f"{who}: {reason}")
    make_champion(registry, previous, log, "rollback", reason, who)
    return {"name": name, "version": previous.version, "before": champion.version, "made": True}
