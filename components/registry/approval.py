"""What a person was asked about a registered version, and what they decided: the version's tag `approval`.

    {"decision": "approve", "champion": "1", "champion_sha256": "9f86d0...", "asked": "2026-11-26T09:00:00+00:00",
     "until": "2026-11-29T09:00:00+00:00", "who": "ada", "reason": "looks good",
     "decided_at": "2026-11-27T08:30:00+00:00"}

A request has no decision yet. Both are about the version and the champion that was shown beside it: with another
champion the question is another one, so an approval holds no longer. A rejection is of the model, and stays.
Standard library only: a run with nothing to do reads it.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from components.registry.model_version import ModelVersion

APPROVAL_TAG = "approval"
DEADLINE = "the deadline"  # who rejects a version that nobody decided about in time

Decision = Literal["approve", "reject", "hold"]
Outcome = Decision | Literal["superseded"]
OfApproval = Outcome | Literal["ask"]  # the actions of the promotion log that move no alias
OF_APPROVAL: tuple[OfApproval, ...] = ("ask", "approve", "reject", "hold", "superseded")
DECISIONS: tuple[Decision, ...] = ("approve", "reject", "hold")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def later(time: str, hours: float) -> str:
    return (datetime.fromisoformat(time) + timedelta(hours=hours)).isoformat(timespec="seconds")


def readable(time: str) -> str:
    """ "2026-11-29 09:00 UTC" """
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M} UTC"


def too_late(until: str) -> str:
    """Why the deadline *until* rejects a version."""
    return f"nobody decided until {readable(until)} (promote.approval_hours)"


@dataclass(frozen=True)
class Answer:
    """What somebody decided about a version that was shown beside a champion; versions by their number."""

    decision: Decision
    version: str
    champion: str | None
    who: str
    reason: str
    time: str

    @classmethod
    def read(cls, text: str) -> Self:
        """The answer in the JSON *text*, as `written` wrote it."""
        return cls(**json.loads(text))

    def written(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Approval:
    """A request, or the decision about it; "superseded" where a newer version came before anybody decided."""

    champion: str | None
    champion_sha256: str
    asked: str
    until: str
    decision: Outcome | Literal[""] = ""
    who: str = ""
    reason: str = ""
    decided_at: str = ""

    @classmethod
    def of(cls, version: ModelVersion) -> Self | None:
        """That of *version*; None where nobody was asked, or a user of MLflow wrote something else into the tag."""
        try:
            approval = cls(**json.loads(version.tags[APPROVAL_TAG]))
            for time in (approval.asked, approval.until, approval.decided_at or approval.asked):
                readable(time)
        except (KeyError, TypeError, ValueError):
            return None
        return approval if approval.decision in ("", "superseded", *DECISIONS) else None

    @property
    def is_open(self) -> bool:
        return not self.decision

    @property
    def is_decidable(self) -> bool:
        """Whether a decision about it counts: of a version on hold, too."""
        return self.decision in ("", "hold")

    @property
    def is_expired(self) -> bool:
        return self.is_open and self.until < now()

    def is_about(self, champion: ModelVersion | None) -> bool:
        """Whether *champion* is the one that was shown."""
        if champion is None:
            return self.champion is None
        return (self.champion, self.champion_sha256) == (champion.version, champion.model_sha256)

    def decided(self, decision: Outcome, who: str, reason: str, time: str) -> Self:
        return replace(self, decision=decision, who=who, reason=reason, decided_at=time)

    def said(self) -> str:
        """ "rejected by ada on 2026-11-27 08:30 UTC: it mistakes sevens" """
        verb = {"approve": "approved", "reject": "rejected", "hold": "held"}.get(self.decision, self.decision)
        return f"{verb} by {self.who} on {readable(self.decided_at)}{f': {self.reason}' * bool(self.reason)}"

    def tag(self) -> str:
        return json.dumps(asdict(self))


def waiting(versions: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Those of *versions* about which somebody has to decide."""
    return [version for version in versions if (approval := Approval.of(version)) and approval.is_open]


def held(versions: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Those of *versions* that somebody wants to keep, to promote them later."""
    return [version for version in versions if (approval := Approval.of(version)) and approval.decision == "hold"]
