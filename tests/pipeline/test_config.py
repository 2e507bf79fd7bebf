"""Settings: which layer wins, what is refused, and that every problem is told at once."""

from pathlib import Path

import pytest

from components.errors import ConfigError, SourceError
from components.settings.sections import SECTIONS, Gate, Params, Train
from components.settings.source_defaults import SOURCE_DEFAULTS
from pipeline import config


def load(*overrides: str, file: str = "", source: str = "digits", **environment: str) -> Params:
    return config.load(file, overrides, source, environment)[0]


def problems(*overrides: str, file: str = "", **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(*overrides, file=file, **environment)
    return list(raised.value.problems)


def test_each_layer_wins_over_the_one_before(tmp_path: Path) -> None:
    """defaults < TOML file < environment < --set."""
    file = tmp_path / "settings.toml"
    file.write_text("[train]\nepochs = 2\nbatch_size = 2\nseed = 2\n")
    params = load("train.seed=4", file=str(file), PIPELINE_TRAIN_BATCH_SIZE="3", PIPELINE_TRAIN_SEED="3")
    assert (params.train.epochs, params.train.batch_size, params.train.seed) == (2, 3, 4)
    assert params.train.learning_rate == SOURCE_DEFAULTS["digits"].get("train.learning_rate", Train().learning_rate)


def test_the_recipe_of_a_source_gives_way_to_what_a_person_sets() -> None:
    """What is recommended for digits is taken, but for the settings that somebody chose."""
    assert load().train.epochs == SOURCE_DEFAULTS["digits"]["train.epochs"]
    assert load("train.epochs=3").train.epochs == 3


def test_the_data_folders_come_from_their_usual_variables() -> None:
    """MNIST_DIR and TFDS_DATA_DIR are settings too."""
    ingest = load(MNIST_DIR="/data/mnist", TFDS_DATA_DIR="/data/tfds").ingest
    assert (ingest.data_dir, ingest.tfds_dir) == ("/data/mnist", "/data/tfds")


def test_variables_that_are_no_settings_are_left_alone() -> None:
    """PIPELINE_HOME and the like share the prefix and are no section."""
    assert load(PIPELINE_HOME="/x", PIPELINE_CONFIG="/y", PIPELINE_STORE="s3://z") == load()


def test_the_registered_name_follows_the_source() -> None:
    """digits-classifier for digits, and the experiment of the same name, unless another is given."""
    assert load().register.name == load().register.experiment == "digits-classifier"
    assert load("register.name=mine").register.name == "mine"


def test_an_unknown_setting_gets_a_suggestion() -> None:
    """A slip of the pen is told with the name that was meant."""
    assert problems("train.epoch=3") == ["no setting is called 'train.epoch'; did you mean 'train.epochs'?"]


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Three mistakes in three places are one message, not three runs."""
    file = tmp_path / "settings.toml"
    file.write_text("[train]\nmodel = 'cnm'\n")
    found = problems("gate.min_accuracy=98", file=str(file), PIPELINE_TRAIN_EPOCHS="many")
    assert found == [
        "train.model is 'cnm'; expected one of cnn_bn, cnn, dense, vgg, resnet, attention, mobilenet_v2, tiny, "
        "or package.module:function (did you mean cnn?)",
        f"train.epochs is 'many'; expected a whole number, such as {Train().epochs}",
        "gate.min_accuracy is 98.0; expected 0 to 1 (did you mean 0.98?)",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train.epochs=2.5", "train.epochs is '2.5'; expected a whole number"),
        ("train.epochs=0", "train.epochs is 0; expected 1 to 10000"),
        ("train.epochs=true", "train.epochs is 'true'; expected a whole number"),
        ("train.dropout=nan", "train.dropout is nan; expected 0 to 0.95"),
        ("promote.automatic=perhaps", "promote.automatic is 'perhaps'; expected true or false"),
        ("schedule.train_queue=a,b", "schedule.train_queue is 'a,b'; expected one name without spaces and commas"),
        ("schedule.light_queue=two words", "schedule.light_queue is 'two words'; expected one name without spaces"),
        ("schedule.train_pod=pod.yaml", "schedule.train_pod is 'pod.yaml'; expected the absolute path that the file"),
        ("train.epochs", "--set train.epochs has no value"),
        ("epochs=3", "no setting is called 'epochs'; did you mean 'train.epochs'?"),
        ("zzz=3", "no setting is called 'zzz'; python -m pipeline settings lists them all"),
    ],
)
def test_a_wrong_value_is_told_with_what_was_expected(text: str, said: str) -> None:
    """Setting, value, expectation."""
    assert problems(text)[0].startswith(said)


@pytest.mark.parametrize("text", ["train", "[train\nepochs=1", "epochs = 1", "[train]\nepochs = [1]"])
def test_a_settings_file_that_is_wrong_is_named(tmp_path: Path, text: str) -> None:
    """Broken TOML, a setting outside its section and a list for a number are one sentence each."""
    file = tmp_path / "settings.toml"
    file.write_text(text)
    (said,) = problems(file=str(file))
    assert "settings.toml" in said or "train.epochs is [1]" in said


@pytest.mark.parametrize(
    ("networks", "said"),
    [
        ("cnn_bn,tiny", "train.depth is 2, which train.member_models=cnn_bn,tiny cannot use; leave it at 0"),
        ("cnn_bn,nowhere:net", "train.member_models=cnn_bn,nowhere:net: there is no module nowhere; expected"),
    ],
)
def test_every_network_of_an_ensemble_is_looked_at(networks: str, said: str) -> None:
    """Not only the first: what one of them cannot be, or cannot use, is told before anything runs."""
    (found,) = problems("train.members=2", f"train.member_models={networks}", "train.depth=2")
    assert found.startswith(said)


def test_a_settings_file_that_is_not_there_is_told() -> None:
    """A path with a slip in it must not mean the defaults."""
    assert "no settings file /nowhere.toml" in problems(file="/nowhere.toml")[0]


def test_a_source_that_does_not_exist_is_told_with_a_suggestion() -> None:
    """`mnits` is not taken for a folder."""
    with pytest.raises(SourceError, match="did you mean 'mnist'"):
        load(source="mnits")


def test_a_whole_number_where_a_share_belongs_is_the_same_setting() -> None:
    """1 and 1.0 are one value, so they give one key."""
    assert Gate(min_accuracy=1) == Gate(min_accuracy=1.0)
    assert isinstance(Gate(min_accuracy=1).min_accuracy, float)


def test_every_default_is_within_its_own_bounds_and_explained() -> None:
    """A section can be created without arguments, and each setting has a help text."""
    for section in SECTIONS.values():
        section()
    assert all(spec.metadata["help"] for spec in config.SETTINGS.values())


def test_what_a_person_chose_is_told_apart_from_what_comes_by_itself() -> None:
    """The command in the report repeats the choices alone."""
    assert config.chosen(load("train.epochs=3")) == {"train.epochs": 3}
    assert config.chosen(load()) == {}


def test_a_profile_is_found_by_its_name_and_holds_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bundled profile loads with a source of its own kind; a file of that name in the folder comes first."""
    for name in config.profiles():
        assert load(file=name, source="mnist", MNIST_DIR=str(tmp_path)).ingest.source == "mnist"
    monkeypatch.chdir(tmp_path)
    Path("fast").write_text("[train]\nepochs = 77\n")
    assert load(file="fast").train.epochs == 77
    assert "or a profile: " + ", ".join(config.profiles()) in problems(file="/nowhere.toml")[0]
