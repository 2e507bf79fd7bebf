"""When a person decides whether a model is promoted, what was decided, and what becomes of requests nobody answered.

    promote.approval    not worse    the test cannot tell    worse
    never               promoted     the champion stays      rejected
    undecided           promoted     a person decides        rejected
    always              a person     a person decides        rejected

The log is written first and the tag second, so a process that dies in between is followed by one that writes the same.
"""

from pathlib import Path
from typing import Any

from components.progress import say
from components.promote.noninferiority import Outcome
from components.registry import promotion_log
from components.registry.approval import APPROVAL_TAG, DEADLINE, Answer, Approval, later, now, too_late, waiting
from components.registry.client import Registry
from components.registry.model_version import ModelVersion
from components.registry.promotion_log import Champion
from components.settings.sections import Promote

Comparison = dict[str, Any] | None  # as the promotion log has it


def is_needed(params: Promote, outcome: Outcome | None) -> bool:
    """Whether a person decides about a model of which the paired test says *outcome*; None: there is no champion."""
    return params.approval == "always" or (params.approval == "undecided" and outcome == "undecided")


def standing(version: ModelVersion, champion: ModelVersion | None) -> Approval | None:
    """What was asked or decided about *version* and still holds beside *champion*: a rejection always does."""
    approval = Approval.of(version)
    if approval is None or approval.decision == "superseded":
        return None
    return approval if approval.decision == "reject" or approval.is_about(champion) else None


def request(
    registry: Registry,
    version: ModelVersion,
    champion: ModelVersion | None,
    params: Promote,
    log: Path,
    who: str,
    comparison: Comparison = None,
) -> Approval:
    """Ask for a decision about *version*, unless that was done; where its deadline has passed it is a rejection.

    Requests about older versions are closed. A deadline that was moved in the settings holds.
    """
    earlier = standing(version, champion)
    if earlier and not earlier.is_open:
        return earlier
    since, shown = earlier.asked if earlier else now(), Champion.of(champion)
    approval = Approval(shown.version, shown.model_sha256, since, later(since, params.approval_hours))
    if earlier is None:
        number = int(version.version)
        supersede(registry, version.name, number - 1, f"version {number} waits for a decision", log, who)
        _write(registry, version, approval, log, comparison)
    elif earlier != approval:
        registry.set_tag(version.name, version.version, APPROVAL_TAG, approval.tag())
    return reject_late(registry, version, approval, log) if approval.is_expired else approval


def record(registry: Registry, version: ModelVersion, approval: Approval, answer: Answer, log: Path) -> Approval:
    """Record *answer* to the request *approval* about *version*; what was approved or rejected stays so."""
    if not approval.is_decidable:
        say(f"  version {version.version} is {approval.said()}, which stands")
        return approval
    decided = approval.decided(answer.decision, answer.who, answer.reason, answer.time)
    _write(registry, version, decided, log)
    return decided


def reject_late(registry: Registry, version: ModelVersion, approval: Approval, log: Path) -> Approval:
    """Reject *version*, as the deadline of its request *approval* has passed."""
    late = Answer("reject", version.version, approval.champion, DEADLINE, too_late(approval.until), approval.until)
    return record(registry, version, approval, late, log)


def supersede(registry: Registry, name: str, up_to: int, reason: str, log: Path, who: str) -> None:
    """Close the requests about the versions *up_to* that number: nobody has to decide about them any more."""
    for version in waiting(registry.versions(name)):
        if (approval := Approval.of(version)) and int(version.version) <= up_to:
            _write(registry, version, approval.decided("superseded", who, reason, now()), log)


def comparison_shown(version: ModelVersion, log: Path) -> Comparison:
    """The comparison that the latest request about *version* was made with."""
    requests = [line for line in promotion_log.read(log, version.name) if line.action == "ask"]
    return next((line.comparison for line in reversed(requests) if line.model_sha256 == version.model_sha256), None)


def _write(
    registry: Registry, version: ModelVersion, approval: Approval, log: Path, comparison: Comparison = None
) -> None:
    """Write *approval* to the log, unless a process that died has done so, and to the version."""
    before, after = Champion(approval.champion, approval.champion_sha256), Champion.of(version)
    action, time = approval.decision or "ask", approval.decided_at or approval.asked
    line = promotion_log.promotion(version.name, action, before, after, approval.reason, approval.who, comparison, time)
    if line not in promotion_log.read(log, version.name):
        promotion_log.append(log, line)
    registry.set_tag(version.name, version.version, APPROVAL_TAG, approval.tag())
