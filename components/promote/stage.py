"""Promote: the alias `champion` moves to the challenger unless it is, or may be, worse on the same test images."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from components.data.classes import ClassChange, quoted
from components.errors import PromotionRejected
from components.findings import Finding, require, warnings
from components.progress import say
from components.promote import approval as approvals
from components.promote.champion import Promoted, PromotionOutcome, last_champion, make_champion, recover
from components.promote.comparison import Comparison, collapse, compare, compare_corruption, judge
from components.promote.noninferiority import Outcome
from components.promote.predictions import Predictions, incomparable, of_champion, of_evaluation
from components.registry import promotion_log
from components.registry.approval import Answer, Approval, readable
from components.registry.client import CHAMPION, Registry, model_sha256
from components.registry.model_version import ROLLED_BACK_TAG, ModelVersion
from components.registry.promotion_log import Champion
from components.settings.sections import Gate, Promote

AUTOMATIC = Promote()


class Proposal(NamedTuple):
    """A challenger that no check rejects beside the champion, and the facts of the stage if the alias moves."""

    challenger: ModelVersion
    champion: ModelVersion | None
    facts: Promoted

    @property
    def tested(self) -> Outcome | None:
        """What the paired test says; None where there was nothing to compare with."""
        comparison = self.facts.get("comparison")
        return comparison["outcome"] if comparison else None

    def kept(self, outcome: PromotionOutcome, reason: str) -> Promoted:
        """The facts where the alias does not move."""
        return {**self.facts, "outcome": outcome, "reason": reason}


def promote(
    normalize: Path,
    train: Path,
    evaluate: Path,
    registry: Registry,
    name: str,
    gate: Gate,
    log: Path,
    who: str,
    champion_evaluate: Path | None = None,
    champion_classes: Sequence[str] | None = None,
    params: Promote = AUTOMATIC,
    answer: Answer | None = None,
    ask_only: bool = False,
) -> Promoted:
    """Make the registered version of *train* the champion, unless it is worse than the present one by the margin.

    The champion also stays where the test images cannot tell (components.promote.noninferiority), where
    params.automatic is false, and where a person has to decide (components.promote.approval) and has not approved:
    *answer* is their decision about the request of an earlier call. With *ask_only* the alias does not move.

    *champion_evaluate* is the evaluation of the champion on the same test split, where it is available; otherwise the
    champion is fetched from the registry to predict the split. *champion_classes* are its class names, for a file that
    does not hold them. Raises PromotionRejected with the numbers, or with why the two cannot be compared, or with who
    rolled back from this model or rejected it, when and why.
    """
    recover(registry, name, log, who)
    challenger, last = registry.registered(name, model_sha256(train)), last_champion(registry, name, log)
    champion = last if isinstance(last, ModelVersion) else None
    before = champion.version if champion else None
    facts: Promoted = {"name": name, "version": challenger.version, "before": before, "made": False, "comparison": None}
    if champion and champion.model_sha256 == challenger.model_sha256 and CHAMPION in champion.aliases:
        return {**facts, "outcome": "unchanged"}
    require(_rolled_back(challenger, log), PromotionRejected)
    facts["reason"] = _uncompared(last)
    if champion and champion.model_sha256 != challenger.model_sha256:
        test = normalize / "test"
        theirs = of_champion(registry, champion, test, champion_evaluate, champion_classes)
        comparison = _compare(of_evaluation(evaluate), theirs, champion, test)
        facts["warnings"] = _judged(comparison, gate, champion)
        corruption = compare_corruption(evaluate, champion_evaluate)
        facts["comparison"] = comparison.record(gate) | ({"corruption": corruption} if corruption else {})
        facts["reason"] = f"version {challenger.version} has {comparison.in_full()}"
    proposal = Proposal(challenger, champion, facts)
    approval = _approval(proposal, registry, params, log, who, answer) if params.automatic else None
    kept = _kept_back(proposal, params, approval)
    return kept or (facts if ask_only else _promoted(proposal, approval, registry, log, who))


def _approval(
    proposal: Proposal, registry: Registry, params: Promote, log: Path, who: str, answer: Answer | None
) -> Approval | None:
    """What was asked or decided about the challenger; None where nobody has to decide, and nobody did."""
    challenger, champion, facts = proposal
    approval = approvals.standing(challenger, champion)
    if approval and answer and (answer.version, answer.champion) == (challenger.version, facts["before"]):
        return approvals.record(registry, challenger, approval, answer, log)
    if approval and not approval.is_open:
        return approval
    if approvals.is_needed(params, proposal.tested):
        return approvals.request(registry, challenger, champion, params, log, who, facts["comparison"])
    return None


def _promoted(proposal: Proposal, approval: Approval | None, registry: Registry, log: Path, who: str) -> Promoted:
    """Move the alias, in the name of the person who approved; the facts."""
    facts, reason = proposal.facts, proposal.facts["reason"]
    if approval:
        who, reason = approval.who, f"{approval.said()}; {reason}"
    make_champion(registry, proposal.challenger, log, "promote", reason, who, facts["comparison"])
    return {**facts, "outcome": "promoted", "made": True, "reason": reason}


def _kept_back(proposal: Proposal, params: Promote, approval: Approval | None) -> Promoted | None:
    """The facts with the reason why the alias does not move; None where it does. Raises PromotionRejected."""
    by_hand = f"python -m pipeline promote {proposal.challenger.version} --force --reason TEXT"
    if not params.automatic:
        say(f"  left to a user: {by_hand}")
        return proposal.kept("left to a user", "left to a user")
    if approval:
        return _decided(proposal, approval, by_hand)
    if proposal.tested == "undecided":
        say(f"  to promote it all the same: {by_hand}")
        return proposal.kept("undecided", _kept(proposal.champion, proposal.challenger))
    return None


def _decided(proposal: Proposal, approval: Approval, by_hand: str) -> Promoted | None:
    """The same as what a person has decided, or has still to decide, demands."""
    version = f"version {proposal.challenger.version}"
    match approval.decision:
        case "approve":
            return None
        case "reject":
            raise PromotionRejected(
                f"{version} of {proposal.challenger.name} was {approval.said()}; to promote it all the same: {by_hand}"
            )
        case "hold":
            say(f"  to promote it: {by_hand}")
            return proposal.kept("held", f"{version} is {approval.said()}")
    reason = f"{version} waits for a decision until {readable(approval.until)}"
    say(f"  {reason}: python -m pipeline promote --pending")
    return proposal.kept("waiting", reason)


def _kept(champion: ModelVersion | None, challenger: ModelVersion) -> str:
    kept = f"the champion, version {champion.version}," if champion else "the champion"
    return f"too few test images to tell whether version {challenger.version} is worse: {kept} stays"


def _uncompared(last: ModelVersion | Champion | None) -> str:
    """Why a model becomes champion that is compared with none."""
    if isinstance(last, ModelVersion):
        return f"the alias {CHAMPION} had been removed from it"
    gone = f"the last champion, version {last.version}, is gone from the registry" if last else ""
    return gone or "there was no champion before"


def _judged(comparison: Comparison, gate: Gate, champion: ModelVersion) -> list[str]:
    """The warnings about *comparison*, which are printed too; raises PromotionRejected with the errors."""
    findings = [*judge(comparison, gate), *collapse(comparison, champion.accuracy)]
    for text in warnings(findings):
        say(f"  warning: {text}")
    require(findings, PromotionRejected)
    return warnings(findings)


def _rolled_back(version: ModelVersion, log: Path) -> list[Finding]:
    """An error where a user rolled back from this model, by the log, or by the tag where the log was lost."""
    rollback = promotion_log.rolled_back(promotion_log.read(log, version.name)).get(version.model_sha256)
    tag = version.tags.get(ROLLED_BACK_TAG)
    if not rollback and not tag:
        return []
    what = f"{rollback.who} on {rollback.time}: {rollback.reason}" if rollback else tag
    text = (
        f"version {version.version} of {version.name} was rolled back by {what}; it is not promoted automatically "
        f"again, only by python -m pipeline promote {version.version} --force --reason TEXT"
    )
    return [Finding("error", text)]


def _compare(mine: Predictions, theirs: Predictions, champion: ModelVersion, test: Path) -> Comparison:
    """Raises PromotionRejected where there is no image that both could get right."""
    from components.data.splits import Split

    both = ClassChange.between(theirs.classes, mine.classes).both
    if not both:
        known = f"knows {quoted(theirs.classes)}, and this model {quoted(mine.classes)}"
        raise incomparable(champion, f"{known}, with no class in common")
    comparison = compare(mine, theirs, Split(test).labels)
    if not comparison.n:
        raise incomparable(champion, f"has only {quoted(both)} in common with this model, and no test image shows it")
    return comparison
