"""[tune] of a settings file: what is taken, and every mistake in a sentence before anything runs."""

from pathlib import Path

import pytest

from components.errors import ConfigError
from components.settings.sections import Params
from pipeline import config
from pipeline.tuning.plan import Choices, Range, plan
from tests.support.tuning_searches import SPACE, planned, settings_file


def problems(folder: Path, space: str = SPACE, tune: str = "", more: str = "", *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        planned(settings_file(folder, space, tune, more), *overrides)
    return list(raised.value.problems)


def test_ranges_and_choices_come_in_the_type_of_their_setting(tmp_path: Path) -> None:
    """An unquoted name, which TOML takes for a table, is the same as a quoted one."""
    file = settings_file(tmp_path, 'train.dropout = {low = 0, high = 1e-1}\n"train.width" = {choices = [1, 2]}')
    space = planned(file).space
    assert space == {"train.dropout": Range(0.0, 0.1), "train.width": Choices((1.0, 2.0))}
    assert isinstance(space["train.dropout"].low, float)  # type: ignore[union-attr]


def test_options_win_over_the_file_and_the_file_names_the_study(tmp_path: Path) -> None:
    """--trials 3 over trials = 7; my-search.toml is the study my-search."""
    file = settings_file(tmp_path, tune="trials = 7\nparallel = 2", name="my-search")
    tune = planned(file, trials=3, seconds=None).tune
    assert (tune.trials, tune.parallel, tune.study) == (3, 2, "my-search")


def test_run_takes_a_settings_file_with_a_search_in_it(tmp_path: Path) -> None:
    """And minds nothing of it, not even a mistake."""
    file = settings_file(tmp_path, tune="trails = 7", more="[train]\nepochs = 2")
    assert config.load(str(file), (), "", {}).train.epochs == 2


def test_the_settings_as_they_are_are_tried_first_where_the_space_holds_them(tmp_path: Path) -> None:
    """So that a search ends no worse than it began."""
    inside = planned(settings_file(tmp_path, more="[train]\nbatch_size = 64\ndropout = 0.3\nlearning_rate = 0.01"))
    assert inside.first == {"train.batch_size": 64, "train.dropout": 0.3, "train.learning_rate": 0.01}
    outside = planned(settings_file(tmp_path, more="[train]\nbatch_size = 48"))
    assert outside.first == {}


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Those of [tune], of its space and of the other settings together."""
    found = problems(
        tmp_path,
        '"train.droput" = {low = 0, high = 1}\n"train.l2" = {low = 0.1, high = 0.01}',
        "trails = 3\nparallel = 0",
        '[train]\noptimizer = "adm"',
    )
    assert len(found) == 5
    assert found[0].startswith("train.optimizer is 'adm'")
    assert found[1] == "no entry of [tune] is called 'trails'; did you mean 'trials'?"
    assert found[2] == "tune.parallel is 0; expected 1 to 64"
    assert found[3] == "tune.space: no setting is called 'train.droput'; did you mean 'train.dropout'?"
    assert found[4] == "tune.space: train.l2 goes from low = 0.1 to high = 0.01; expected low below high"


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ('"gate.min_accuracy" = {low = 0.9, high = 0.99}', "gate.min_accuracy, which changes nothing that is trained"),
        ('"normalize.seed" = {low = 0, high = 9}', "normalize.seed, which chooses the validation images"),
        ('"train.seed" = {low = 0, high = 9}', "train.seed, which is chance: a search would keep the luckiest"),
        ('"train.dropout" = {low = 0, high = 0.99}', "train.dropout is 0.99; expected 0 to 0.95"),
        ('"train.epochs" = {low = 1.5, high = 3}', "train.epochs is 1.5; expected a whole number"),
        ('"train.optimizer" = {low = 1, high = 3}', "train.optimizer has no range; list what to try"),
        ('"train.optimizer" = {choices = ["adam", "adm"]}', "train.optimizer is 'adm'; expected one of adam"),
        ('"train.epochs" = {choices = [3, 3]}', "expected a list of two or more different values"),
        ('"train.epochs" = 3', "train.epochs is 3; expected {low"),
        ('"train.epochs" = {low = 3}', "train.epochs is {'low': 3}; expected {low"),
        ('"train.dropout" = {low = 0, high = 0.5, log = true}', "low = 0, which has no logarithm"),
        ('"train.dropout" = {low = 0, high = 0.5, log = 1}', "log of train.dropout is 1; expected true or false"),
        ("", "[tune.space] names no setting to search"),
    ],
)
def test_a_space_that_makes_no_sense_is_one_sentence(tmp_path: Path, space: str, said: str) -> None:
    """What it is, and what was expected."""
    (problem,) = problems(tmp_path, space)
    assert said in problem


def test_a_setting_both_searched_and_set_is_refused(tmp_path: Path) -> None:
    """A profile could not say which was meant."""
    (problem,) = problems(tmp_path, SPACE, "", "", "train.dropout=0.1")
    assert "train.dropout is searched, and set by --set or the environment to 0.1 too" in problem


def test_a_study_is_named_so_that_its_files_can_be(tmp_path: Path) -> None:
    """A slash would lie elsewhere."""
    assert "the study is called '../x'" in problems(tmp_path, tune='study = "../x"')[0]


def test_without_a_settings_file_there_is_nothing_to_search() -> None:
    """It is told where the space belongs."""
    with pytest.raises(ConfigError, match=r"\[tune\.space\]; give it as --config FILE"):
        plan("", [], {}, Params)
