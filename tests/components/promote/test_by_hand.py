"""Rollbacks, manual promotions, and the log after a crash."""

from pathlib import Path

import pytest

from components.errors import ConfigError, PromotionRejected
from components.promote.by_hand import force, rollback
from components.promote.champion import recover
from components.registry import promotion_log
from components.registry.client import CHAMPION, Registry, model_sha256
from components.registry.model_version import ROLLED_BACK_TAG, ModelVersion
from tests.support.registry_bench import NAME, WHO, Bench


def test_a_rollback_restores_the_champion_and_keeps_it(bench: Bench) -> None:
    """The model that lost the alias is refused from then on, with who, why and how to promote it manually."""
    champion = bench.add("a", range(50))
    bench.promote("a")
    bench.add("b", range(20))
    bench.promote("b", champion)
    facts = rollback(bench.registry, NAME, "sevens look wrong", "bob@desk", bench.log)
    assert facts == {"name": NAME, "version": "1", "before": "2", "made": True}
    assert bench.champion() == "1"
    with pytest.raises(PromotionRejected, match=r"bob@desk .*sevens look wrong.*promote 2 --force --reason TEXT"):
        bench.promote("b", champion)
    assert bench.actions()[-1] == ("rollback", "2", "1")

    assert force(bench.registry, NAME, "2", "checked", WHO, bench.log)["made"] is True
    assert bench.champion() == "2"
    left = bench.registry.version(NAME, "2")
    assert left is not None
    assert ROLLED_BACK_TAG not in left.tags


@pytest.mark.parametrize("lost", ["log", "registry"])
def test_a_rollback_is_remembered_in_both_places(bench: Bench, lost: str) -> None:
    """With the log lost, the tag in the registry still refuses the model; with the tag lost, the log does."""
    champion = bench.add("a", range(50))
    bench.promote("a")
    bench.add("b", range(20))
    bench.promote("b", champion)
    rollback(bench.registry, NAME, "sevens look wrong", "bob@desk", bench.log)
    if lost == "log":
        bench.log.unlink()
    else:
        bench.registry.delete_tag(NAME, "2", ROLLED_BACK_TAG)
    with pytest.raises(PromotionRejected, match="sevens look wrong"):
        bench.promote("b", champion)


def test_rollbacks_go_back_one_champion_at_a_time(bench: Bench) -> None:
    """Three champions allow two rollbacks; the third is refused and changes nothing."""
    for model in "abc":
        bench.add(model, range(5))
        bench.promote(model, bench.folder / "evaluate-a")
    assert [rollback(bench.registry, NAME, "no", WHO, bench.log)["version"] for _ in range(2)] == ["2", "1"]
    with pytest.raises(ConfigError, match="no champion before version 1"):
        rollback(bench.registry, NAME, "no", WHO, bench.log)
    assert bench.champion() == "1"


def test_a_rollback_skips_versions_that_are_gone(bench: Bench) -> None:
    """A former champion that was deleted from the registry cannot be restored; the one before it is."""
    for model in "abc":
        bench.add(model, range(5))
        bench.promote(model, bench.folder / "evaluate-a")
    bench.registry.delete_version(NAME, "2")
    assert rollback(bench.registry, NAME, "no", WHO, bench.log)["version"] == "1"


def test_a_champion_without_its_alias_still_has_to_be_matched(bench: Bench) -> None:
    """Somebody removed the alias in MLflow: a worse model is refused, and the model itself gets its alias back."""
    champion = bench.add("a", range(20))
    bench.promote("a")
    bench.registry.client.delete_registered_model_alias(NAME, CHAMPION)
    bench.add("b", range(50))
    with pytest.raises(PromotionRejected, match="champion's 980"):
        bench.promote("b", champion)
    assert bench.champion() is None
    facts = bench.promote("a")
    assert (facts["made"], facts["reason"]) == (True, "the alias champion had been removed from it")
    assert bench.champion() == "1"


@pytest.mark.parametrize("renamed", [False, True])
def test_a_champion_that_is_gone_from_the_registry_is_named(bench: Bench, renamed: bool) -> None:
    """Its version was deleted in MLflow, or the registered model has another name: nothing is left to compare with."""
    bench.add("a", range(20))
    bench.promote("a")
    if renamed:
        bench.registry.client.rename_registered_model(NAME, "renamed")
    else:
        bench.registry.delete_version(NAME, "1")
    with pytest.raises(ConfigError, match=r"no champion to roll back from.*promote VERSION --force"):
        rollback(bench.registry, NAME, "no", WHO, bench.log)
    bench.add("b", range(50))
    facts = bench.promote("b")
    assert (facts["before"], facts["reason"]) == (None, "the last champion, version 1, is gone from the registry")


def test_without_a_champion_there_is_nothing_to_roll_back(bench: Bench) -> None:
    """An empty registry has its own message."""
    with pytest.raises(ConfigError, match="no champion to roll back from"):
        rollback(bench.registry, NAME, "no", WHO, bench.log)


def test_forcing_an_unknown_version_names_the_known_ones(bench: Bench) -> None:
    """A typing error changes nothing."""
    bench.add("a", range(5))
    with pytest.raises(ConfigError, match=r"no version '7'; its versions are: 1"):
        force(bench.registry, NAME, "7", "x", WHO, bench.log)


@pytest.mark.parametrize("command", ["promote", "force", "rollback"])
def test_a_crash_between_alias_and_log_is_recovered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """After a kill when the alias had moved, whichever command comes next writes the missing line first."""
    champion = bench.add("a", range(50))
    bench.promote("a")
    bench.add("b", range(20))
    with monkeypatch.context() as crash:
        crash.setattr(promotion_log, "append", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bench.promote("b", champion)
    assert bench.champion() == "2"
    assert bench.actions() == [("promote", None, "1")]

    if command == "promote":
        assert bench.promote("b", champion)["made"] is False
    elif command == "force":
        assert force(bench.registry, NAME, "2", "x", WHO, bench.log)["made"] is False
    else:
        assert rollback(bench.registry, NAME, "x", WHO, bench.log)["version"] == "1"
    assert bench.actions()[:2] == [("promote", None, "1"), ("recovered", "1", "2")]
    assert recover(bench.registry, NAME, bench.log, WHO) is False


def test_a_crash_in_a_rollback_is_recovered(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill when the alias had moved back, the model stays refused and the log is completed."""
    champion = bench.add("a", range(50))
    bench.promote("a")
    bench.add("b", range(20))
    bench.promote("b", champion)
    with monkeypatch.context() as crash:
        crash.setattr(promotion_log, "append", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rollback(bench.registry, NAME, "no good", WHO, bench.log)
    with pytest.raises(PromotionRejected, match="no good"):
        bench.promote("b", champion)
    assert bench.champion() == "1"
    history = promotion_log.champion_history(promotion_log.read(bench.log))
    assert history == [("1", model_sha256(bench.folder / "train-a"))]


def test_a_repeated_task_of_airflow_moves_the_champion_once(bench: Bench) -> None:
    """Its retry or *Clear* does not roll back to the champion before, nor promote again what was replaced since."""
    for model in "abc":
        bench.add(model, range(5))
        bench.promote(model, bench.folder / "evaluate-a")
    first, again = (rollback(bench.registry, NAME, "no", WHO, bench.log, run="rollback-1") for _ in range(2))
    assert (first["version"], first["made"], again["version"], again["made"]) == ("2", True, "2", False)
    assert bench.champion() == "2"
    assert force(bench.registry, NAME, "3", "yes", WHO, bench.log, "promote-1")["made"]
    assert rollback(bench.registry, NAME, "no", WHO, bench.log, run="rollback-2")["version"] == "2"
    assert not force(bench.registry, NAME, "3", "yes", WHO, bench.log, "promote-1")["made"]
    assert bench.champion() == "2"


def test_a_rollback_that_was_cut_off_is_not_made_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process died when the alias had moved: the same command again completes the log, and moves nothing."""
    for model in "abc":
        bench.add(model, range(5))
        bench.promote(model, bench.folder / "evaluate-a")
    with monkeypatch.context() as crash:
        crash.setattr(promotion_log, "append", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rollback(bench.registry, NAME, "no", WHO, bench.log)
    assert rollback(bench.registry, NAME, "no", WHO, bench.log) == {
        "name": NAME,
        "version": "2",
        "before": "3",
        "made": False,
    }
    assert bench.champion() == "2"


def test_a_wiped_registry_starts_again(bench: Bench, empty_database: Path) -> None:
    """Version numbers of the lost registry are not mistaken for those of the new one."""
    bench.add("a", range(5))
    bench.promote("a")
    bench.add("b", range(5))
    bench.promote("b", bench.folder / "evaluate-a")
    fresh = bench.folder / "fresh.db"
    fresh.write_bytes(empty_database.read_bytes())
    again = Bench(Registry(f"sqlite:///{fresh}"), bench.folder)
    for model in "cd":
        again.add(model, range(5))
    assert again.promote("c")["before"] is None
    again.promote("d", bench.folder / "evaluate-c")
    assert rollback(again.registry, NAME, "no", WHO, again.log)["version"] == "1"
    with pytest.raises(ConfigError, match="no champion before"):
        rollback(again.registry, NAME, "no", WHO, again.log)


def test_a_version_is_published_before_the_alias_moves_to_it(bench: Bench) -> None:
    """By force and by rollback, and not where nothing moves: who follows the alias finds the files there."""
    published: list[tuple[str, str | None]] = []

    def publish(version: ModelVersion) -> None:
        published.append((version.version, bench.champion()))

    for model in "ab":
        bench.add(model, range(5))
        bench.promote(model, bench.folder / "evaluate-a")
    rollback(bench.registry, NAME, "no", WHO, bench.log, publish=publish)
    force(bench.registry, NAME, "2", "yes", WHO, bench.log, publish=publish)
    force(bench.registry, NAME, "2", "yes", WHO, bench.log, publish=publish)
    assert published == [("1", "2"), ("2", "1")]
