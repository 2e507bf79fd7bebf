"""A person decides in a real Airflow: asked by a run, and by the forms of `promote_version` and `rollback`."""

import urllib.error
from dataclasses import dataclass

import pytest

from components.registry import promotion_log
from components.registry.approval import Approval
from components.registry.client import CHAMPION, Registry
from tests.support.airflow_server import Json, Served, Tasks, digits

pytestmark = pytest.mark.airflow

NAME = "asked-classifier"
MINE = {"register__name": NAME, "promote__approval": "always"}


@dataclass
class Decided:
    """A run about whose model somebody has decided."""

    run: str
    asked: Json
    state: str
    tasks: Tasks
    champion: str | None  # afterwards


def champion(served: Served) -> str | None:
    version = registry(served).alias(NAME, CHAMPION)
    return version.version if version else None


def registry(served: Served) -> Registry:
    return Registry(f"sqlite:///{served.home / 'mlflow.db'}")


def log(served: Served) -> list[tuple[str, str, str, str]]:
    lines = promotion_log.read(served.home / "promotions.jsonl", NAME)
    return [(line.action, line.version, line.who, line.reason) for line in lines]


def decided(served: Served, form: dict[str, object], option: str, reason: str) -> Decided:
    run = served.trigger(form)
    asked = served.asked(run)
    served.decide(run, option, reason)
    return Decided(run, asked, *served.finished(run), champion(served))


@pytest.fixture(scope="module")
def approved(served: Served) -> Decided:
    """The first model of its name; what an earlier test has trained is reused."""
    return decided(served, digits(**MINE), "Approve", "looks good")


@pytest.fixture(scope="module")
def rejected(served: Served, approved: Decided) -> Decided:
    return decided(served, digits(**MINE, train__seed=31), "Reject", "too slow")


def test_an_approved_model_becomes_champion(served: Served, approved: Decided) -> None:
    """Who approved it and why is in the promotion log and in the version's tags."""
    assert (approved.state, approved.champion) == ("success", "1")
    (_, approval, promotion) = log(served)[:3]
    assert approval == ("approve", "1", "admin", "looks good")
    assert promotion[:3] == ("promote", "1", "admin")
    version = registry(served).version(NAME, "1")
    assert version
    tag = Approval.of(version)
    assert tag
    assert (tag.decision, tag.who, tag.reason) == ("approve", "admin", "looks good")
    assert served.shown(approved.run)["note"].startswith("version 1 promoted, ")


def test_a_rejected_model_stays_challenger(served: Served, rejected: Decided) -> None:
    """The run is red at `promote`, whose log says who rejected it, when, why, and what to click."""
    assert (rejected.state, rejected.champion) == ("failed", "1")
    assert {name: task["state"] for name, task in rejected.tasks.items() if task["state"] != "success"} == {
        "promote": "failed"
    }
    sentence = served.log(rejected.run, "promote")
    assert f"version 2 of {NAME} was rejected by admin on " in sentence
    assert "too slow; to promote it all the same: *Trigger* `promote_version` with version=2" in sentence
    assert "Traceback" not in sentence


def test_who_decides_sees_both_models(rejected: Decided) -> None:
    """A table with a column for each, the differences, and a link to the report."""
    assert rejected.asked["subject"] == f"Promote version 2 of {NAME}?"
    body = rejected.asked["body"]
    assert "|  | version 2 @challenger | version 1 @champion |" in body
    assert "| accuracy | " in body
    assert "* changes: train.seed 0 -\\> 31" in body
    assert "/report.html)" in body
    assert rejected.asked["defaults"] == ["Reject"]


def test_where_nobody_has_to_decide_nobody_is_asked(served: Served, rejected: Decided) -> None:
    """`approve` is skipped, and `promote` runs all the same."""
    run = served.trigger(digits(register__name=NAME))
    state, tasks = served.finished(run)
    assert (state, tasks["approve"]["state"], tasks["promote"]["state"]) == ("success", "skipped", "success")


def test_a_version_is_promoted_and_rolled_back_by_a_form(served: Served, rejected: Decided) -> None:
    """The log names the user who triggered the run; the champion's asset gets an event of each."""
    promoted = served.trigger({"model": NAME, "version": "2", "reason": "we need it"}, "promote_version")
    served.succeeded(promoted, "promote_version")
    assert champion(served) == "2"
    back = served.trigger({"model": NAME, "reason": "it was too slow"}, "rollback")
    served.succeeded(back, "rollback")
    assert champion(served) == "1"
    assert log(served)[-2:] == [("force", "2", "admin", "we need it"), ("rollback", "1", "admin", "it was too slow")]
    events = [e for e in served.api.get("assets/events")["asset_events"] if e["uri"] == f"models://{NAME}/champion"]
    assert [event["extra"]["version"] for event in events] == ["1", "2", "1"]


def test_a_wrong_form_changes_nothing(served: Served, rejected: Decided) -> None:
    """A form without a reason starts no run; a version that does not exist is named by the task."""
    before = log(served)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        served.trigger({"model": NAME, "version": "2"}, "promote_version")
    run = served.trigger({"model": NAME, "version": "99", "reason": "x"}, "promote_version")
    assert served.finished(run, "promote_version")[0] == "failed"
    assert f"{NAME} has no version '99'; its versions are: 1, 2" in served.log(
        run, "promote_version", dag="promote_version"
    )
    assert log(served) == before
