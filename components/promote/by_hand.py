"""Promotions by a user: decide about a version that waits, make one champion manually, restore a former champion."""

from collections.abc import Callable
from pathlib import Path

from components.errors import ConfigError, PromotionRejected
from components.promote.approval import comparison_shown, record, reject_late
from components.promote.champion import Promoted, former_champions, make_champion, present_champion, recover
from components.registry import promotion_log
from components.registry.approval import APPROVAL_TAG, Answer, Approval, Decision, now
from components.registry.client import CHAMPION, Registry
from components.registry.model_version import ROLLED_BACK_TAG, ModelVersion
from components.registry.promotion_log import Promotion

Publish = Callable[[ModelVersion], None]


def _leave(version: ModelVersion) -> None:
    """Publish nothing."""


def force(
    registry: Registry,
    name: str,
    number: str,
    reason: str,
    who: str,
    log: Path,
    run: str = "",
    publish: Publish = _leave,
) -> Promoted:
    """Make version *number* champion whatever the gates say; an earlier rollback or rejection no longer counts.

    *publish* is called with the version before the alias moves, here and below. Nothing happens where the Airflow run
    *run* has done so already.
    """
    recover(registry, name, log, who)
    if earlier := _done_by(run, name, log):
        return earlier
    version = _version(registry, name, number)
    champion = registry.alias(name, CHAMPION)
    before = champion.version if champion else None
    if before == number:
        return {"name": name, "version": number, "before": before, "made": False}
    if ROLLED_BACK_TAG in version.tags:
        registry.delete_tag(name, number, ROLLED_BACK_TAG)
    if approval := Approval.of(version):
        approved = approval.decided("approve", who, reason, now())
        registry.set_tag(name, number, APPROVAL_TAG, approved.tag())
    publish(version)
    make_champion(registry, version, log, "force", reason, who, run=run)
    return {"name": name, "version": number, "before": before, "made": True}


def decide(
    registry: Registry,
    name: str,
    number: str,
    given: Decision,
    reason: str,
    who: str,
    log: Path,
    publish: Publish = _leave,
) -> Promoted:
    """Decide about version *number*, which waits for it or is on hold; an approval makes it champion.

    Raises ConfigError where it does not wait, PromotionRejected where its deadline has passed or there is another
    champion than the one that was shown.
    """
    recover(registry, name, log, who)
    version, champion = _version(registry, name, number), present_champion(registry, name, log)
    approval = _decidable(registry, version, given, log)
    if not approval.is_about(champion):
        raise PromotionRejected(_changed(version, approval, champion))
    answer = Answer(given, number, approval.champion, who, reason, now())
    decided = record(registry, version, approval, answer, log)
    if given == "approve":
        publish(version)
        make_champion(registry, version, log, "promote", decided.said(), decided.who, comparison_shown(version, log))
    approved = given == "approve"
    return {"name": name, "version": number, "before": approval.champion, "made": approved, "reason": decided.said()}


def _decidable(registry: Registry, version: ModelVersion, given: Decision, log: Path) -> Approval:
    """What was asked about *version*, where the decision *given* counts; raises as `decide` does.

    It counts, too, where the process that recorded the same approval died before it moved the alias.
    """
    number, approval = version.version, Approval.of(version)
    is_cut_off = approval and approval.decision == given == "approve" and CHAMPION not in version.aliases
    if approval is None or ROLLED_BACK_TAG in version.tags or not (approval.is_decidable or is_cut_off):
        was = f"it was {approval.said()}" if approval else "nobody was asked about it"
        raise ConfigError(
            f"version {number} of {version.name} does not wait for a decision: {was}; python -m pipeline promote "
            "--pending lists what does"
        )
    if approval.is_expired:
        late = reject_late(registry, version, approval, log)
        raise PromotionRejected(
            f"version {number} of {version.name} was {late.said()}; to promote it all the same: python -m pipeline "
            f"promote {number} --force --reason TEXT"
        )
    return approval


def _changed(version: ModelVersion, approval: Approval, champion: ModelVersion | None) -> str:
    """That the champion is another one than the one that was shown."""
    then = f"version {approval.champion}" if approval.champion else "none"
    present = f"version {champion.version}" if champion else "none"
    return (
        f"the champion of {version.name} is {present}, and was {then} when a decision about version "
        f"{version.version} was asked for; run `make pipeline` again to compare the two"
    )


def _version(registry: Registry, name: str, number: str) -> ModelVersion:
    version = registry.version(name, number)
    if version is None:
        known = ", ".join(v.version for v in registry.versions(name)) or "none"
        raise ConfigError(f"{name} has no version {number!r}; its versions are: {known} (python -m pipeline models)")
    return version


def rollback(
    registry: Registry,
    name: str,
    reason: str,
    who: str,
    log: Path,
    to: str = "",
    run: str = "",
    publish: Publish = _leave,
) -> Promoted:
    """Restore the previous champion, or version *to*, which was champion once.

    The version that loses the alias is never promoted automatically again. Nothing happens where the Airflow run *run*
    has rolled back already, and where the same rollback was cut off before it was logged.
    """
    mark = f"{who}: {reason}"
    if earlier := _done_by(run, name, log) or _cut_off(registry, name, log, who, mark):
        return earlier
    champion = registry.alias(name, CHAMPION)
    if champion is None:
        raise ConfigError(
            f"{name} has no champion to roll back from; python -m pipeline models lists its versions, and python -m "
            "pipeline promote VERSION --force --reason TEXT makes one champion"
        )
    former = former_champions(registry, champion, log)
    previous = next((version for version in former if to in ("", version.version)), None)
    if previous is None and former:
        known = ", ".join(version.version for version in former)
        raise ConfigError(
            f"version {to} of {name} was not champion before version {champion.version}; these were: {known}"
        )
    if previous is None:
        raise ConfigError(
            f"{name} has had no champion before version {champion.version}; to make another version champion manually: "
            "python -m pipeline promote VERSION --force --reason TEXT"
        )
    publish(previous)
    registry.set_tag(name, champion.version, ROLLED_BACK_TAG, mark)
    make_champion(registry, previous, log, "rollback", reason, who, run=run)
    return {"name": name, "version": previous.version, "before": champion.version, "made": True}


def _done_by(run: str, name: str, log: Path) -> Promoted | None:
    """What the Airflow run *run* has done, whose task was retried or cleared; None for nothing."""
    lines = [line for line in promotion_log.read(log, name) if run and line.run == run]
    return _repeated(lines[0]) if lines else None


def _cut_off(registry: Registry, name: str, log: Path, who: str, mark: str) -> Promoted | None:
    """The rollback with this *mark* whose process died when the alias had moved; None where none did."""
    if not recover(registry, name, log, who):
        return None
    line = promotion_log.read(log, name)[-1]
    left = registry.version(name, line.before or "")
    return _repeated(line) if left and left.tags.get(ROLLED_BACK_TAG) == mark else None


def _repeated(line: Promotion) -> Promoted:
    return {"name": line.name, "version": line.version, "before": line.before, "made": False}
