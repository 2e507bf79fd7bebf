"""What a study keeps, which settings it tries in which order, and what it says of a file that it cannot use."""

import multiprocessing
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from components.errors import ConfigError, ModelRejected, PipelineError, StorageFailed
from pipeline.home import Home
from pipeline.store.recipe import Recipe
from pipeline.tuning.optimize import Train, Watch, optimize
from pipeline.tuning.plan import Plan, Settings
from pipeline.tuning.study import Outcome, Study, Trial, opened
from tests.support.tuning_searches import SPACE, FakeTraining, Killed, planned, settings_file

RECIPE: Recipe = {
    "stage": "train",
    "params": {"epochs": 4},
    "inputs": {"normalize": "a"},
    "code": {},
    "runtime": {},
}
TUNE = "startup = 2\nwarmup = 0\ntrials = 12"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return planned(settings_file(tmp_path, tune=TUNE))


def search(home: Path, plan: Plan, train: Train) -> list[Trial]:
    """The trials so far, when a search of one process has been completed or killed; without their durations."""
    with opened(Home(home), plan, RECIPE) as study:
        study.requeue()
        with suppress(Killed):
            optimize(Home(home), plan, train, lambda *_: None)
        return [replace(trial, seconds=0.0) for trial in study.ended]


def trials(home: Path, plan: Plan, *stops: int) -> list[Trial]:
    """The trials of a search that was killed after so many epochs of a trial, again and again, then left alone."""
    for stop in stops:
        search(home, plan, FakeTraining(stop))
    return search(home, plan, FakeTraining())


def test_a_search_that_is_killed_again_and_again_gives_the_same_trials(tmp_path: Path, plan: Plan) -> None:
    """The same settings, values and states, in the same order, beyond the random ones at the beginning."""
    undisturbed = trials(tmp_path / "a", plan)
    for stops in ((99, 1), (2, 0, 1)):
        search(tmp_path / "b", plan, FakeTraining(*stops))
    assert trials(tmp_path / "b", plan, 2, 1, 0) == undisturbed
    assert {trial.state for trial in undisturbed} == {"completed", "pruned"}
    assert len({str(trial.chosen) for trial in undisturbed}) == 12


def test_another_seed_tries_other_settings(tmp_path: Path, plan: Plan) -> None:
    """Beyond the first trial, which uses the settings as they are."""
    other = planned(settings_file(tmp_path, tune=f"{TUNE}\nseed = 1", more="[train]\nbatch_size = 64"))
    first, second = trials(tmp_path / "a", plan), trials(tmp_path / "b", other)
    assert first[0].chosen == plan.first
    assert second[0].chosen == other.first
    assert not {str(trial.chosen) for trial in first} & {str(trial.chosen) for trial in second}


def _search_in_a_process(home: Path, plan: Plan) -> None:
    optimize(Home(home), plan, FakeTraining(), lambda *_: None)


def test_several_processes_begin_no_trial_too_many(tmp_path: Path) -> None:
    """Though their trials end at the same moment."""
    plan = planned(settings_file(tmp_path, tune="trials = 25\nstartup = 99"))
    with opened(Home(tmp_path), plan, RECIPE) as study:
        spawn = multiprocessing.get_context("spawn")
        processes = [spawn.Process(target=_search_in_a_process, args=(tmp_path, plan)) for _ in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0, 0]
        assert [trial.number for trial in study.ended] == list(range(1, 26))
        assert study.counts == {"completed": 25, "pruned": 0, "failed": 0}


class Scripted:
    """Trainings that end in these ways, one after the other: with a loss, or an error."""

    def __init__(self, *ends: float | Exception) -> None:
        self._ends = list(ends)

    def __call__(self, chosen: Settings, watch: Watch) -> Outcome:
        end = self._ends.pop(0)
        if isinstance(end, ModelRejected):
            return Outcome("k", reason=str(end))
        if isinstance(end, Exception):
            raise end
        return Outcome("k", [], {"validation_accuracy": 0.9, "validation_loss": end})


def test_of_equal_accuracies_the_lower_loss_is_best(tmp_path: Path) -> None:
    """On a few hundred images many accuracies are equal; failed and pruned trials are never best."""
    plan = planned(settings_file(tmp_path, tune="trials = 4"))
    search(tmp_path, plan, Scripted(0.3, 0.2, PipelineError("no"), ModelRejected("training diverged")))
    with opened(Home(tmp_path), plan, RECIPE) as study:
        assert study.best
        assert (study.best.number, [trial.number for trial in study.ranking]) == (2, [2, 1])
        assert [trial.state for trial in study.ended] == ["completed", "completed", "failed", "pruned"]
        assert [trial.reason for trial in study.ended] == ["", "", "no", "training diverged"]
        assert study.ended[3].value is None


def test_a_trial_whose_process_keeps_dying_fails(tmp_path: Path, plan: Plan) -> None:
    """It counts as ended, with the reason, and the next trial is another one."""
    search(tmp_path, plan, FakeTraining(99, 1))
    with opened(Home(tmp_path), plan, RECIPE) as study:
        study.fail(2, "its process was killed by signal 9")
        assert [(trial.number, trial.state) for trial in study.ended] == [(1, "completed"), (2, "failed")]
        assert study.ended[1].reason == "its process was killed by signal 9"
        assert study.requeue() == 0


def test_a_study_of_that_name_with_another_search_cannot_be_resumed(tmp_path: Path, plan: Plan) -> None:
    """The differences are named, and both ways out: another name, or a new beginning."""
    open_study(tmp_path, plan)
    changes: list[tuple[str, str, Recipe, str]] = [
        (SPACE.replace("0.6", "0.5"), "", RECIPE, r"the space of train\.dropout .*0\.6.* -> .*0\.5"),
        (SPACE, "seed = 3", RECIPE, r"tune\.seed 0 -> 3"),
        (SPACE, 'objective = "loss"', RECIPE, r'tune\.objective "accuracy" -> "loss"'),
        (SPACE, "", {**RECIPE, "params": {"epochs": 5}}, r"train\.epochs 4 -> 5"),
        (SPACE, "", {**RECIPE, "inputs": {"normalize": "b"}}, "normalize"),
    ]
    for space, tune, recipe, message in changes:
        other = planned(settings_file(tmp_path, space, tune))
        with pytest.raises(ConfigError, match=rf"{message}.*--study NAME, or delete .*search\.journal"):
            open_study(tmp_path, other, recipe)


def test_a_study_in_an_sqlite_file_of_an_earlier_version_is_refused(tmp_path: Path, plan: Plan) -> None:
    """It would be begun again without a word otherwise."""
    Home(tmp_path).tuning.mkdir()
    (tmp_path / "tune/search.db").touch()
    with pytest.raises(ConfigError, match=r"search\.db, written by an earlier version.*--study NAME, or delete"):
        open_study(tmp_path, plan)


def test_more_trials_and_other_settings_of_pruning_continue_the_study(tmp_path: Path, plan: Plan) -> None:
    """They change what is tried, not what a value means."""
    search(tmp_path, plan, FakeTraining(99, 0))
    other = planned(settings_file(tmp_path, tune="startup = 9\nwarmup = 2\ntrials = 99"))
    with opened(Home(tmp_path), other, RECIPE) as study:
        assert len(study.ended) == 1


def test_one_process_at_a_time_searches_a_study(tmp_path: Path, plan: Plan) -> None:
    """The second one is refused, not left waiting."""
    with opened(Home(tmp_path), plan, RECIPE), pytest.raises(ConfigError, match="is being searched already"):
        open_study(tmp_path, plan)


def test_a_damaged_file_is_named(tmp_path: Path, plan: Plan) -> None:
    """With what is wrong, and what to do."""
    open_study(tmp_path, plan)
    (tmp_path / "tune/search.journal").write_bytes(b"no journal\n" * 20)
    with pytest.raises(StorageFailed, match=r"search\.journal cannot be read \(.*\); move the file away"):
        open_study(tmp_path, plan)


def test_a_line_that_a_full_disk_cut_off_is_dropped(tmp_path: Path, plan: Plan) -> None:
    """The change that it was to record never happened: the trials before it are kept, and later ones are added."""
    before = search(tmp_path, plan, FakeTraining(99, 99, 0))
    file = tmp_path / "tune/search.journal"
    os.truncate(file, file.stat().st_size - 5)
    after = trials(tmp_path, plan)
    assert len(before) == 2
    assert after == trials(tmp_path / "undisturbed", plan)


def open_study(home: Path, plan: Plan, recipe: Recipe = RECIPE) -> Study:
    with opened(Home(home), plan, recipe) as study:
        return study
