"""gc: which versions of the registry it protects."""

from pathlib import Path

from components.registry.approval import APPROVAL_TAG, Approval, now, waiting
from components.registry.model_version import MODEL_SHA256_TAG, ModelVersion
from components.registry.promotion_log import Champion, append, promotion
from pipeline.home import Home
from pipeline.housekeeping import _restorable


def test_gc_protects_every_version_that_a_rollback_can_restore(tmp_path: Path) -> None:
    """The champions so far, but not one that was rolled back from, nor a version that never was champion."""
    versions = [ModelVersion("pets", str(n), tags={MODEL_SHA256_TAG: f"sha{n}"}) for n in range(1, 6)]
    other = ModelVersion("beasts", "1", tags={MODEL_SHA256_TAG: "sha1"})
    home, before = Home(tmp_path), Champion(None, "")
    for action, number in (("promote", 1), ("promote", 3), ("promote", 4), ("rollback", 3)):
        after = Champion.of(versions[number - 1])
        append(home.promotions, promotion("pets", action, before, after, "", "ada"))  # type: ignore[arg-type]
        before = after
    assert _restorable(home, [*versions, other]) == [versions[0], versions[2]]
    assert _restorable(Home(tmp_path / "empty"), versions) == []


def test_gc_protects_what_a_person_has_to_decide_about_or_keeps(tmp_path: Path) -> None:
    """A version that waits for a decision as one with an alias, one on hold as one that a rollback can restore."""
    asked = Approval(None, "", "2026-11-26T09:00:00+00:00", "2026-11-29T09:00:00+00:00")
    decisions = {
        "1": asked,
        "2": asked.decided("hold", "ada", "", now()),
        "3": asked.decided("reject", "ada", "", now()),
    }
    versions = [ModelVersion("pets", number, tags={APPROVAL_TAG: asked.tag()}) for number, asked in decisions.items()]
    assert waiting(versions) == versions[:1]
    assert _restorable(Home(tmp_path), versions) == [versions[1]]
