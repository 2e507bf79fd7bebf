"""[tune] of a settings file: every mistake is reported in a sentence before anything runs."""

from pathlib import Path

import pytest

from components.errors import ConfigError
from components.settings.sections import Params, Train
from pipeline import config
from pipeline.tuning.plan import Choices, Range, from_json, idle, plan
from tests.support.tuning_searches import SPACE, planned, settings_file


def problems(folder: Path, space: str = SPACE, tune: str = "", more: str = "", *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        planned(settings_file(folder, space, tune, more), *overrides)
    return list(raised.value.problems)


def test_ranges_and_choices_have_the_type_of_their_setting(tmp_path: Path) -> None:
    """An unquoted name, which TOML reads as a table, means the same as a quoted one."""
    file = settings_file(tmp_path, 'train.dropout = {low = 0, high = 1e-1}\n"train.width" = {choices = [1, 2]}')
    space = planned(file).space
    assert space == {"train.dropout": Range(0.0, 0.1), "train.width": Choices((1.0, 2.0))}
    assert isinstance(space["train.dropout"].low, float)  # type: ignore[union-attr]


def test_options_override_the_file_and_the_file_names_the_study(tmp_path: Path) -> None:
    """--trials 3 over trials = 7; my-search.toml is the study my-search."""
    file = settings_file(tmp_path, tune="trials = 7\nparallel = 2", name="my-search")
    tune = planned(file, trials=3, seconds=None).tune
    assert (tune.trials, tune.parallel, tune.study) == (3, 2, "my-search")


def test_run_ignores_the_search_in_a_settings_file(tmp_path: Path) -> None:
    """Even a mistake in it."""
    file = settings_file(tmp_path, tune="trails = 7", more="[train]\nepochs = 2")
    assert config.load(str(file), (), "", {}).train.epochs == 2


def test_the_current_settings_are_tried_first_if_the_space_contains_them(tmp_path: Path) -> None:
    """A search ends no worse than it began."""
    inside = planned(settings_file(tmp_path, more="[train]\nbatch_size = 64\ndropout = 0.3\nlearning_rate = 0.01"))
    assert inside.first == {"train.batch_size": 64, "train.dropout": 0.3, "train.learning_rate": 0.01}
    outside = planned(settings_file(tmp_path, more="[train]\nbatch_size = 48"))
    assert outside.first == {}


def test_the_precision_is_settled_for_each_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It follows the network that a trial has, also in the process that runs the trial; a written one is used as is."""
    (tmp_path / "cpuinfo").write_text("flags : amx_bf16")
    monkeypatch.setattr("components.system.processor.CPUINFO", tmp_path / "cpuinfo")
    for written, expected in (("auto", "float32"), ("mixed_bfloat16", "mixed_bfloat16")):
        file = settings_file(tmp_path, more=f'[train]\nprecision = "{written}"')
        search = from_json(planned(file).to_json())
        assert config.complete(search.settings({"train.model": "mobilenet_v2"})).train.precision == expected
        assert config.complete(search.settings({})).train.precision == "mixed_bfloat16"


def test_a_searched_setting_without_effect_in_a_trial_has_its_default(tmp_path: Path) -> None:
    """A search over optimizers may try momentum too: adam has none, and its trial is not refused for it."""
    space = '"train.optimizer" = {choices = ["adam", "sgd"]}\n"train.momentum" = {low = 0.5, high = 0.95}'
    search = planned(settings_file(tmp_path, space))
    for optimizer, momentum in (("adam", Train().momentum), ("sgd", 0.7)):
        trial = search.settings({"train.optimizer": optimizer, "train.momentum": 0.7})
        assert config.complete(trial).train.momentum == momentum
    assert idle({"train.optimizer": "adam", "train.momentum": 0.7}).keys() == {"train.momentum"}


def test_the_threads_of_all_trials_are_those_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where each trial has a part of the cores; so they cannot be searched."""
    monkeypatch.setattr("components.train.machine.cores", lambda: 8)
    search = planned(settings_file(tmp_path))
    monkeypatch.setattr("components.train.machine.cores", lambda: 2)
    assert config.complete(from_json(search.to_json()).settings({})).train.threads == 8
    (message,) = problems(tmp_path, '"train.threads" = {choices = [1, 2]}')
    assert message.startswith("tune.space names train.threads, which changes the speed")


@pytest.mark.parametrize("entry", ["{huge}", "{{choices = [1, {huge}]}}", "{{low = 1, high = {huge}}}", "[{huge}]"])
def test_a_number_of_thousands_of_digits_is_one_sentence(tmp_path: Path, entry: str) -> None:
    """Python does not even print it."""
    (message,) = problems(tmp_path, f'"train.epochs" = {entry.format(huge="0x" + "f" * 9999)}')
    assert message.startswith("tune.space: train.epochs is ")
    assert "; expected " in message


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    """Those of [tune], of its space and of the other settings together."""
    reported = problems(
        tmp_path,
        '"train.droput" = {low = 0, high = 1}\n"train.l2" = {low = 0.1, high = 0.01}',
        "trails = 3\nparallel = 0",
        '[train]\noptimizer = "adm"',
    )
    assert len(reported) == 5
    assert reported[0].startswith("train.optimizer is 'adm'")
    assert reported[1] == "[tune] has no entry 'trails'; did you mean 'trials'?"
    assert reported[2] == "tune.parallel is 0; expected 1 to 64"
    assert reported[3] == "tune.space: no setting is called 'train.droput'; did you mean 'train.dropout'?"
    assert reported[4] == "tune.space: train.l2 has low = 0.1 and high = 0.01; expected low below high"


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ('"gate.min_accuracy" = {low = 0.9, high = 0.99}', "gate.min_accuracy, which does not affect training"),
        ('"normalize.seed" = {low = 0, high = 9}', "normalize.seed, which selects the validation images"),
        ('"train.seed" = {low = 0, high = 9}', "train.seed, and a search over seeds keeps the luckiest"),
        ('"train.dropout" = {low = 0, high = 0.99}', "train.dropout is 0.99; expected 0 to 0.95"),
        ('"train.epochs" = {low = 1.5, high = 3}', "train.epochs is 1.5; expected a whole number"),
        ('"train.optimizer" = {low = 1, high = 3}', "train.optimizer takes no range; list its values"),
        ('"train.optimizer" = {choices = ["adam", "adm"]}', "train.optimizer is 'adm'; expected one of adam"),
        ('"train.epochs" = {choices = [3, 3]}', "expected a list of two or more different values"),
        ('"train.epochs" = 3', "train.epochs is 3; expected {low"),
        ('"train.epochs" = {low = 3}', "train.epochs is {'low': 3}; expected {low"),
        ('"train.dropout" = {low = 0, high = 0.5, log = true}', "low = 0 on a logarithmic scale"),
        ('"train.dropout" = {low = 0, high = 0.5, log = 1}', "log of train.dropout is 1; expected true or false"),
        ("", "[tune.space] names no setting to search"),
    ],
)
def test_an_invalid_space_is_reported_in_one_sentence(tmp_path: Path, space: str, message: str) -> None:
    """The value, and what was expected."""
    (problem,) = problems(tmp_path, space)
    assert message in problem


def test_a_setting_both_searched_and_set_is_refused(tmp_path: Path) -> None:
    """The written settings file could not say which was meant."""
    (problem,) = problems(tmp_path, SPACE, "", "", "train.dropout=0.1")
    assert "train.dropout is searched, and set to 0.1 by --set or the environment too" in problem


def test_the_name_of_a_study_must_be_fit_for_a_file(tmp_path: Path) -> None:
    """A slash would lead to another folder."""
    assert "the study is called '../x'" in problems(tmp_path, tune='study = "../x"')[0]


def test_without_a_settings_file_there_is_nothing_to_search() -> None:
    """The message says where the space belongs."""
    with pytest.raises(ConfigError, match=r"\[tune\.space\]; name it by --config FILE"):
        plan("", [], {}, Params)
