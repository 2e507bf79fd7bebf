"""A person's decision: when one is needed, what it is about, and what each of them does."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from components.errors import ConfigError, PromotionRejected
from components.promote import approval as approvals
from components.promote import by_hand
from components.promote.approval import is_needed
from components.promote.by_hand import decide, force, rollback
from components.promote.noninferiority import Outcome
from components.registry import promotion_log
from components.registry.approval import APPROVAL_TAG, DECISIONS, Answer, Approval, Decision, now, waiting
from components.registry.model_version import ModelVersion
from components.settings.sections import Promote
from tests.support.registry_bench import NAME, WHO, Bench

ALWAYS, UNDECIDED = Promote(approval="always"), Promote(approval="undecided")
BETTER, SAME, WORSE = range(20), range(1, 53), range(200)  # than the champion, which gets 50 images wrong


@pytest.mark.parametrize(
    ("approval", "tested", "needed"),
    [
        ("never", "not worse", False),
        ("never", "undecided", False),
        ("never", None, False),
        ("undecided", "not worse", False),
        ("undecided", "undecided", True),
        ("undecided", None, False),
        ("always", "not worse", True),
        ("always", "undecided", True),
        ("always", None, True),
    ],
)
def test_when_a_person_decides(approval: str, tested: Outcome | None, needed: bool) -> None:
    """Never; where the test images cannot tell; or always, also about the first model."""
    assert is_needed(Promote(approval=approval), tested) is needed


@dataclass
class Asked:
    """A champion, version 1, and a better model, version 2, that waits for a decision."""

    bench: Bench
    champion: Path

    def again(self, answer: Answer | None = None, params: Promote = ALWAYS) -> str:
        return self.bench.promote("b", self.champion, params=params, answer=answer).get("outcome", "")

    def answer(self, decision: Decision, champion: str | None = "1") -> Answer:
        return Answer(decision, "2", champion, "ada", "looked at it", "2026-11-27T08:30:00+00:00")

    def decide(self, decision: Decision, number: str = "2") -> bool:
        return decide(self.bench.registry, NAME, number, decision, "looked at it", "ada", self.bench.log)["made"]

    def approval(self, number: str = "2") -> Approval:
        version = self.bench.registry.version(NAME, number)
        assert version
        approval = Approval.of(version)
        assert approval
        return approval

    def waiting(self) -> list[str]:
        return [version.version for version in waiting(self.bench.registry.versions(NAME))]


@pytest.fixture
def asked(bench: Bench) -> Asked:
    champion = bench.add("a", range(50))
    bench.promote("a")
    bench.add("b", BETTER)
    facts = bench.promote("b", champion, params=ALWAYS)
    assert (facts["made"], facts["outcome"]) == (False, "waiting")
    return Asked(bench, champion)


def test_a_version_waits_until_somebody_decides(asked: Asked) -> None:
    """The champion stays, the version says so with its deadline, and another run asks nothing new."""
    assert asked.bench.champion() == "1"
    before = asked.approval()
    assert (before.champion, before.decision) == ("1", "")
    assert asked.again() == "waiting"
    assert asked.approval() == before
    assert asked.waiting() == ["2"]
    assert asked.bench.actions() == [("promote", None, "1"), ("ask", "1", "2")]


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("way", ["an answer", "the command"])
def test_a_decision_is_carried_out_and_recorded(asked: Asked, decision: Decision, way: str) -> None:
    """An approval promotes, a rejection ends in an error, a hold leaves the challenger; who and why is in log and tag.

    Both ways to decide come to the same, and a repetition changes nothing.
    """
    answer = asked.answer(decision) if way == "an answer" else None
    if answer is None:
        assert asked.decide(decision) is (decision == "approve")
    for _ in range(2):
        if decision == "reject":
            with pytest.raises(PromotionRejected, match=r"version 2 of m was rejected by ada on .*: looked at it; to "):
                asked.again(answer)
        else:
            asked.again(answer)
    assert asked.bench.champion() == ("2" if decision == "approve" else "1")
    assert (asked.approval().decision, asked.approval().who, asked.approval().reason) == (
        decision,
        "ada",
        "looked at it",
    )
    moved = [("promote", "1", "2")] if decision == "approve" else []
    assert asked.bench.actions()[2:] == [(decision, "1", "2"), *moved]
    assert {line.who for line in promotion_log.read(asked.bench.log)[2:]} == {"ada"}
    assert asked.waiting() == []


def test_the_promotion_names_who_approved_and_the_comparison_that_was_shown(asked: Asked) -> None:
    asked.decide("approve")
    promotion = promotion_log.read(asked.bench.log)[-1]
    assert promotion.reason.startswith("approved by ada on ")
    assert promotion.comparison is not None
    assert promotion.comparison["gained"] == 30


def test_a_decision_is_about_the_champion_that_was_shown(asked: Asked) -> None:
    """With another champion neither the answer nor the command promotes; the next run asks again."""
    asked.bench.add("c", BETTER)
    force(asked.bench.registry, NAME, "3", "checked", WHO, asked.bench.log)
    force(asked.bench.registry, NAME, "1", "checked", WHO, asked.bench.log)
    asked.bench.add("d", BETTER)
    assert asked.bench.promote("d", asked.champion, params=ALWAYS)["outcome"] == "waiting"
    rolled = asked.bench.registry.version(NAME, "4")
    assert rolled
    force(asked.bench.registry, NAME, "2", "checked", WHO, asked.bench.log)
    with pytest.raises(PromotionRejected, match=r"is version 2, and was version 1 when a decision about version 4 was"):
        asked.decide("approve", "4")
    for version, champion in (("4", "1"), ("4", "3"), ("3", "2"), ("5", "2")):
        other = Answer("approve", version, champion, "ada", "", now())
        again = asked.bench.promote("d", asked.bench.folder / "evaluate-b", params=ALWAYS, answer=other)
        assert again["outcome"] == "waiting"
    assert asked.approval("4").champion == "2"
    assert asked.bench.champion() == "2"


def test_an_approval_beside_another_champion_does_not_count(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was cut off before it moved the alias, and somebody made a third version champion: a person is asked again."""
    with monkeypatch.context() as crash:
        crash.setattr(by_hand, "make_champion", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            asked.decide("approve")
    asked.bench.add("c", range(40))
    force(asked.bench.registry, NAME, "3", "checked", WHO, asked.bench.log)
    assert asked.bench.promote("b", asked.bench.folder / "evaluate-c", params=ALWAYS)["outcome"] == "waiting"
    assert asked.approval().champion == "3"


def test_a_rejection_stays_whoever_is_champion_and_whatever_the_setting(asked: Asked) -> None:
    """Only a promotion by force makes it champion, and clears the rejection."""
    asked.decide("reject")
    asked.bench.add("c", range(40))
    force(asked.bench.registry, NAME, "3", "checked", WHO, asked.bench.log)
    with pytest.raises(PromotionRejected, match=r"rejected by ada .*promote 2 --force --reason TEXT"):
        asked.bench.promote("b", asked.bench.folder / "evaluate-c", params=Promote())
    assert force(asked.bench.registry, NAME, "2", "we need it", "bob", asked.bench.log)["made"]
    assert (asked.approval().decision, asked.approval().who) == ("approve", "bob")


def test_a_held_version_can_be_approved_later(asked: Asked) -> None:
    asked.decide("hold")
    assert asked.again() == "held"
    assert asked.decide("approve")
    assert asked.bench.champion() == "2"


def test_a_version_that_nobody_decides_about_is_rejected(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """After promote.approval_hours; a deadline that is moved in the settings counts from the first request."""
    monkeypatch.setattr(approvals, "now", lambda: "2999-01-01T00:00:00+00:00")
    monkeypatch.setattr("components.registry.approval.now", lambda: "2999-01-01T00:00:00+00:00")
    with pytest.raises(PromotionRejected, match=r"rejected by the deadline on .*nobody decided until .*approval_hours"):
        asked.decide("approve")
    with pytest.raises(PromotionRejected, match="rejected by the deadline"):
        asked.again()
    assert asked.bench.actions()[2:] == [("reject", "1", "2")]


def test_a_longer_deadline_holds_for_a_request_that_was_made(asked: Asked) -> None:
    before = asked.approval()
    assert asked.again(params=Promote(approval="always", approval_hours=1000)) == "waiting"
    assert asked.approval().asked == before.asked
    assert asked.approval().until > before.until


@pytest.mark.parametrize("then", ["waits too", "is promoted"])
def test_a_newer_version_closes_the_request_about_an_older_one(asked: Asked, then: str) -> None:
    asked.bench.add("c", range(10))
    asked.bench.promote("c", asked.champion, params=ALWAYS if then == "waits too" else Promote())
    assert asked.waiting() == (["3"] if then == "waits too" else [])
    assert asked.approval().decision == "superseded"
    with pytest.raises(ConfigError, match="version 2 of m does not wait for a decision: it was superseded by"):
        asked.decide("approve")


def test_asking_moves_nothing_where_nobody_has_to_decide(bench: Bench) -> None:
    """Airflow asks first and promotes in a task of its own."""
    bench.add("a", range(50))
    assert "outcome" not in bench.promote("a", params=UNDECIDED, ask_only=True)
    assert bench.champion() is None
    assert bench.actions() == []


def test_only_what_the_test_images_cannot_tell_is_asked(bench: Bench) -> None:
    """With `undecided` a better model is promoted, a worse one rejected, and a person decides about the rest."""
    champion = bench.add("a", range(50))
    bench.promote("a", params=UNDECIDED)
    for model, wrong in (("same", SAME), ("worse", WORSE), ("better", BETTER)):
        bench.add(model, wrong)
    assert bench.promote("same", champion, params=UNDECIDED)["outcome"] == "waiting"
    with pytest.raises(PromotionRejected, match="points worse is not promoted"):
        bench.promote("worse", champion, params=UNDECIDED)
    assert bench.promote("better", champion, params=UNDECIDED)["outcome"] == "promoted"


def test_automatic_false_asks_nobody(bench: Bench) -> None:
    bench.add("a", range(50))
    facts = bench.promote("a", params=Promote(automatic=False, approval="always"))
    assert facts["outcome"] == "left to a user"
    assert waiting(bench.registry.versions(NAME)) == []


def test_a_kill_between_log_and_tag_is_made_good(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answer again writes no second line, and promotes."""
    with monkeypatch.context() as crash:
        crash.setattr(type(asked.bench.registry), "set_tag", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            asked.again(asked.answer("approve"))
    assert asked.again(asked.answer("approve")) == "promoted"
    assert asked.bench.actions()[2:] == [("approve", "1", "2"), ("promote", "1", "2")]


@pytest.mark.parametrize("way", ["the command", "the next run"])
def test_a_kill_between_approval_and_promotion_is_made_good(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    with monkeypatch.context() as crash:
        crash.setattr(by_hand, "make_champion", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            asked.decide("approve")
    assert asked.bench.champion() == "1"
    assert asked.decide("approve") if way == "the command" else asked.again() == "promoted"
    assert asked.bench.champion() == "2"


def test_an_approval_that_was_rolled_back_is_none(asked: Asked) -> None:
    """The champion that was shown is champion again, and the command does not promote the model a second time."""
    asked.decide("approve")
    rollback(asked.bench.registry, NAME, "no good", WHO, asked.bench.log)
    with pytest.raises(ConfigError, match="version 2 of m does not wait for a decision: it was approved by ada"):
        asked.decide("approve")
    assert asked.bench.champion() == "1"


def test_what_was_decided_elsewhere_meanwhile_stands(asked: Asked) -> None:
    """Airflow still shows its question; the rejection from the command line came first."""
    asked.decide("reject")
    with pytest.raises(PromotionRejected, match="rejected by ada"):
        asked.again(Answer("approve", "2", "1", "bob", "", now()))
    assert asked.bench.champion() == "1"


def test_requests_and_decisions_are_no_champions(asked: Asked) -> None:
    """A rollback goes to the champion before, not to a version that was only asked about."""
    asked.bench.add("c", range(10))
    force(asked.bench.registry, NAME, "3", "checked", WHO, asked.bench.log)
    with pytest.raises(ConfigError, match="version 2 of m was not champion before version 3; these were: 1"):
        rollback(asked.bench.registry, NAME, "no", WHO, asked.bench.log, "2")
    assert rollback(asked.bench.registry, NAME, "no", WHO, asked.bench.log, "1")["version"] == "1"
    assert "recovered" not in [action for action, _, _ in asked.bench.actions()]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"champion": "1"}', '{"asked": 3}', "yes"])
def test_a_tag_that_somebody_wrote_in_mlflow_is_no_request(text: str) -> None:
    assert Approval.of(ModelVersion("m", "1", tags={APPROVAL_TAG: text})) is None


def test_an_approved_version_is_published_before_the_alias_moves_to_it(asked: Asked) -> None:
    """One on hold is not: nothing moves."""
    bench, published = asked.bench, list[tuple[str, str | None]]()
    in_turn: tuple[Decision, ...] = ("hold", "approve")

    def publish(version: ModelVersion) -> None:
        published.append((version.version, bench.champion()))

    for decision in in_turn:
        decide(bench.registry, NAME, "2", decision, "", "ada", bench.log, publish)
    assert published == [("2", "1")]
    assert bench.champion() == "2"
