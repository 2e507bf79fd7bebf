"""What is kept of a study, in what order it tries, and what it says of a file that it cannot use."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from components.errors import ConfigError, StorageFailed
from pipeline.home import Home
from pipeline.store.recipe import Recipe
from pipeline.tuning import study as studies
from pipeline.tuning.plan import Plan
from pipeline.tuning.study import Study, Trial, opened
from tests.support.tuning_searches import SPACE, history, planned, settings_file

RECIPE: Recipe = {
    "stage": "train",
    "params": {"epochs": 4},
    "inputs": {"normalize": "a"},
    "code": {},
    "runtime": {},
}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return planned(settings_file(tmp_path, tune="startup = 2\nwarmup = 0"))


def told(rows: list[dict[str, float]]) -> dict[str, Any]:
    last = rows[-1]
    summary = {"validation_accuracy": last["val_accuracy"], "validation_loss": last["val_loss"]}
    return {"history": rows, "seconds": 1.0, "key": "k", "summary": summary}


def try_one(study: Study, stop_after: int = 99) -> None:
    """One trial, gone on with where one was begun; left as it is after *stop_after* epochs."""
    trial = (study.left_running() or [study.begin()])[0]
    rows = history(trial.params)
    for epoch in range(1, len(rows) + 1):
        if epoch > stop_after:
            return
        if study.judge(trial, rows[:epoch]):
            study.end(trial, "pruned", {**told(rows[:epoch]), "summary": {}})
            return
    study.end(trial, "completed", told(rows))


def trials(home: Path, plan: Plan, *stops: int, count: int = 12) -> list[Trial]:
    """The trials of a search that was stopped after so many epochs of a trial, again and again, then left alone."""
    for stop in stops:
        with opened(Home(home), "s", plan, RECIPE) as study:
            try_one(study, stop)
    with opened(Home(home), "s", plan, RECIPE) as study:
        while len(study.ended) < count:
            try_one(study)
        return study.ended


def test_stopped_again_and_again_a_study_tries_what_it_would_have_tried(tmp_path: Path, plan: Plan) -> None:
    """The same settings, values and ends, in the same order, past the random ones at the beginning."""
    undisturbed = trials(tmp_path / "a", plan)
    assert trials(tmp_path / "b", plan, 2, 0, 1, *[99] * 9, 2, 1) == undisturbed
    assert {trial.state for trial in undisturbed} == {"completed", "pruned"}
    assert len({str(trial.chosen) for trial in undisturbed}) == 12


def test_another_seed_tries_other_settings(tmp_path: Path, plan: Plan) -> None:
    """Beyond the first trial, which is the settings as they are."""
    other = planned(settings_file(tmp_path, tune="startup = 2\nwarmup = 0\nseed = 1", more="[train]\nbatch_size = 64"))
    first, second = trials(tmp_path / "a", plan, count=3), trials(tmp_path / "b", other, count=3)
    assert first[0].chosen == plan.first
    assert second[0].chosen == other.first
    assert not {str(trial.chosen) for trial in first} & {str(trial.chosen) for trial in second}


def test_of_equal_values_the_lower_loss_is_best(tmp_path: Path, plan: Plan) -> None:
    """Accuracy on a few hundred images has many equals; failed and given up trials are never best."""
    with opened(Home(tmp_path), "s", plan, RECIPE) as study:
        for loss in (0.3, 0.2):
            summary = {"validation_accuracy": 0.9, "validation_loss": loss}
            study.end(study.begin(), "completed", {"summary": summary})
        study.end(study.begin(), "failed", {"reason": "no"})
        study.end(study.begin(), "pruned", {"reason": "training diverged"})
        assert study.best
        assert (study.best.number, [t.number for t in study.ranking]) == (2, [2, 1])
        assert [trial.state for trial in study.ended] == ["completed", "completed", "failed", "pruned"]
        assert study.ended[3].value is None


def test_a_study_of_that_name_begun_otherwise_is_not_gone_on_with(tmp_path: Path, plan: Plan) -> None:
    """What differs is told, and the two ways on: another name, or begin anew."""
    with opened(Home(tmp_path), "s", plan, RECIPE):
        pass
    changes: list[tuple[str, str, Recipe, str]] = [
        (SPACE.replace("0.6", "0.5"), "", RECIPE, r"the space of train\.dropout .*0\.6.* -> .*0\.5"),
        (SPACE, "seed = 3", RECIPE, r"tune\.seed 0 -> 3"),
        (SPACE, 'objective = "loss"', RECIPE, r'tune\.objective "accuracy" -> "loss"'),
        (SPACE, "", {**RECIPE, "params": {"epochs": 5}}, r"train\.epochs 4 -> 5"),
        (SPACE, "", {**RECIPE, "inputs": {"normalize": "b"}}, "input normalize changed"),
    ]
    for space, tune, recipe, said in changes:
        other = planned(settings_file(tmp_path, space, tune))
        with (
            pytest.raises(ConfigError, match=rf"{said}.*--study NAME, or delete .*s\.db"),
            opened(Home(tmp_path), "s", other, recipe),
        ):
            pass


def test_more_trials_and_other_bounds_of_giving_up_go_on_with_the_study(tmp_path: Path, plan: Plan) -> None:
    """They change what is tried, not what a value means."""
    with opened(Home(tmp_path), "s", plan, RECIPE) as study:
        try_one(study)
    other = planned(settings_file(tmp_path, tune="startup = 9\nwarmup = 2\ntrials = 99"))
    with opened(Home(tmp_path), "s", other, RECIPE) as study:
        assert len(study.ended) == 1


def test_one_process_at_a_time_searches_a_study(tmp_path: Path, plan: Plan) -> None:
    """Whoever comes second is told so, not left waiting."""
    with (
        opened(Home(tmp_path), "s", plan, RECIPE),
        pytest.raises(ConfigError, match="is being searched already"),
        opened(Home(tmp_path), "s", plan, RECIPE),
    ):
        pass


def test_a_locked_or_damaged_file_is_named(tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is wrong, and what to do."""
    monkeypatch.setattr(studies, "SECONDS", 0.1)
    with opened(Home(tmp_path), "s", plan, RECIPE):
        pass
    file = tmp_path / "tune/s.db"
    holder = sqlite3.connect(file)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageFailed, match=r"s\.db cannot be used \(database is locked\)"):  # noqa: SIM117
        with opened(Home(tmp_path), "s", plan, RECIPE):
            pass
    holder.close()
    file.write_bytes(b"no database at all, but long enough to be taken for a damaged one" * 20)
    with pytest.raises(StorageFailed, match="file is not a database"):  # noqa: SIM117
        with opened(Home(tmp_path), "s", plan, RECIPE):
            pass
