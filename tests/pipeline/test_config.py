"""Settings: which layer wins, what is refused, and that all problems are reported together."""

import re
from pathlib import Path

import pytest

from components.errors import ConfigError, SourceError
from components.settings.fields import variable
from components.settings.sections import SECTIONS, Gate, Params, Train
from components.settings.source_defaults import SOURCE_DEFAULTS
from pipeline import config
from pipeline.home import Home
from pipeline.store.recipe import key, recipe_of
from tests.conftest import ROOT


def load(*overrides: str, file: str = "", source: str = "digits", **environment: str) -> Params:
    return config.load(file, overrides, source, environment)


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


def test_a_users_setting_wins_over_the_default_of_the_source() -> None:
    """digits has its own number of epochs, unless a user sets one."""
    assert load().train.epochs == SOURCE_DEFAULTS["digits"]["train.epochs"]
    assert load("train.epochs=3").train.epochs == 3


def test_the_data_folders_come_from_their_usual_variables() -> None:
    """MNIST_DIR and TFDS_DATA_DIR are settings too."""
    ingest = load(MNIST_DIR="/data/mnist", TFDS_DATA_DIR="/data/tfds").ingest
    assert (ingest.data_dir, ingest.tfds_dir) == ("/data/mnist", "/data/tfds")


def test_the_variables_that_are_no_settings_are_accepted() -> None:
    """PIPELINE_HOME and the like share the prefix; each has a line in VARIABLES."""
    assert load(**dict.fromkeys(config.VARIABLES, "x")) == load()


def test_every_variable_that_the_project_names_is_known() -> None:
    """Whoever adds a variable adds it to VARIABLES: in the source, the images, the Makefile and the manifests."""
    files = [*ROOT.glob("Makefile"), *(ROOT / "docker").rglob("*")]
    files += [path for folder in ("components", "pipeline", "dags") for path in (ROOT / folder).rglob("*.py")]
    text = "\n".join(path.read_text() for path in files if path.is_file())
    named = set(re.findall(r"\bPIPELINE_[A-Z]+(?:_[A-Z]+)*\b", text)) - {"PIPELINE_SECTION_NAME"}
    assert named <= {*config.VARIABLES, *config.FROM_ENVIRONMENT, *map(variable, config.SETTINGS)}


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("PIPELINE_TRIAN_EPOCHS", "did you mean 'PIPELINE_TRAIN_EPOCHS'?"),
        ("PIPELINE_HOEM", "did you mean 'PIPELINE_HOME'?"),
        ("PIPELINE_XYZ", "a setting is set as PIPELINE_TRAIN_EPOCHS=3"),
    ],
)
def test_a_misspelt_variable_is_a_problem(variable: str, hint: str) -> None:
    """It would otherwise be ignored without a word."""
    assert problems(**{variable: "7"}) == [f"the environment variable {variable} sets nothing; {hint}"]


def test_the_registered_name_follows_the_source() -> None:
    """digits-classifier for digits, and the experiment of the same name, unless another is given."""
    assert load().register.name == load().register.experiment == "digits-classifier"
    assert load("register.name=mine").register.name == "mine"


def test_an_unknown_setting_gets_a_suggestion() -> None:
    """The message names the setting that was probably meant."""
    assert problems("train.epoch=3") == ["no setting is called 'train.epoch'; did you mean 'train.epochs'?"]


def test_all_problems_are_reported_together(tmp_path: Path) -> None:
    """Four mistakes in three places are one message, not four runs."""
    file = tmp_path / "settings.toml"
    file.write_text("[train]\nmodel = 'cnm'\n")
    reported = problems("train.seed", "gate.min_accuracy=98", file=str(file), PIPELINE_TRAIN_EPOCHS="many")
    assert reported == [
        "train.model is 'cnm'; expected one of attention, cnn, cnn_bn, dense, efficientnet_v2_b0, mobilenet_v2, "
        "mobilenet_v2_backbone, resnet, tiny, vgg, or package.module:function (did you mean 'cnn'?)",
        f"train.epochs is 'many'; expected a whole number, such as {Train().epochs}",
        "--set train.seed has no value; write it as --set train.epochs=3",
        "gate.min_accuracy is 98.0; expected 0 to 1 (did you mean 0.98?)",
    ]


def test_a_network_that_is_missing_hides_no_conflict() -> None:
    """Each network of an ensemble, and what another section says."""
    with pytest.raises(ConfigError) as raised:
        config.complete({"train.members": 2, "train.member_models": "a:b,c:d", "gate.min_accuracy": 2})
    assert [problem[:24] for problem in raised.value.problems] == [
        "gate.min_accuracy is 2; ",
        "train.member_models=a:b,",
        "train.member_models=a:b,",
    ]


def test_conflicts_in_two_sections_are_reported_together() -> None:
    """Settings that do not go together: the first section does not hide the second."""
    with pytest.raises(ConfigError) as raised:
        config.complete({"train.epochs": -1, "gate.min_accuracy": 2})
    assert [problem.partition(" ")[0] for problem in raised.value.problems] == ["train.epochs", "gate.min_accuracy"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.epochs=2.5", "train.epochs is '2.5'; expected a whole number"),
        ("train.epochs=-1", "train.epochs is -1; expected 0 to 10000"),
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
def test_a_wrong_value_is_reported_with_what_was_expected(text: str, message: str) -> None:
    """Setting, value, expectation."""
    assert problems(text)[0].startswith(message)


@pytest.mark.parametrize("text", ["train", "[train\nepochs=1", "epochs = 1", "[train]\nepochs = [1]"])
def test_a_settings_file_that_is_wrong_is_named(tmp_path: Path, text: str) -> None:
    """Broken TOML, a setting outside its section and a list for a number are one sentence each."""
    file = tmp_path / "settings.toml"
    file.write_text(text)
    (message,) = problems(file=str(file))
    assert "settings.toml" in message or "train.epochs is [1]" in message


def test_a_settings_file_is_utf_8_whatever_the_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TOML is UTF-8; a container without a locale reads ASCII."""
    monkeypatch.setattr("locale.getpreferredencoding", lambda *_: "ascii")
    file = tmp_path / "settings.toml"
    file.write_bytes("[register]\nexperiment = 'Größen'".encode())
    assert load(file=str(file)).register.experiment == "Größen"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_settings_file_may_begin_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    """Notepad and PowerShell write it."""
    file = tmp_path / "settings.toml"
    file.write_bytes("[train]\r\nepochs = 2\r\n".encode(encoding))
    assert load(file=str(file)).train.epochs == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[train]\nepochs = 2\n".encode("utf-16"), "is not UTF-8 (invalid start byte at byte 0); save it in that"),
        (b"[train]\nmodel = '\xe9'", "is not UTF-8 (invalid continuation byte at byte 17)"),
        (b"[train]\nmodel = " + b"[" * 9999 + b"]" * 9999, "cannot be read: it is nested too deeply"),
        (b"[train]\nepochs = " + b"9" * 5000, "cannot be read: a number in it has too many digits"),
    ],
    ids=["utf-16", "latin-1", "nested", "digits"],
)
def test_a_settings_file_that_python_cannot_read_is_one_sentence(tmp_path: Path, content: bytes, reason: str) -> None:
    """However it was damaged: no traceback."""
    file = tmp_path / "settings.toml"
    file.write_bytes(content)
    (message,) = problems(file=str(file))
    assert message.startswith(f"the settings file {file} {reason}")


@pytest.mark.parametrize("number", ["9" * 400, "0x" + "f" * 9999], ids=["decimal", "hexadecimal"])
def test_a_number_of_hundreds_of_digits_is_out_of_bounds(tmp_path: Path, number: str) -> None:
    """TOML's integers have no limit in Python; floats, NumPy, JSON and our own messages do."""
    file = tmp_path / "settings.toml"
    names = ("train.epochs", "train.dropout", "train.seed", "train.model", "gate.max_latency_ms", "validate.min_images")
    file.write_text("".join(f"{name} = {number}\n" for name in names))
    reported = problems(file=str(file))
    assert [message.partition(" ")[0] for message in reported] == list(names)
    assert all("; expected " in message and len(message) < 400 for message in reported)


@pytest.mark.parametrize(
    "name", ["vision/pets", "pets:v2", "what?", "..", ".", "a\tb", "a\nb", "a\x7f", "a\udce9", "x" * 257]
)
def test_a_name_that_no_registry_takes_is_refused(name: str) -> None:
    """Before anything runs: MLflow would refuse it after the training, or could never load the model by its URI."""
    (message,) = problems(f"register.name={name}")
    assert message.startswith("register.name is ")
    assert "; expected a name" in message


@pytest.mark.parametrize("name", ["pets%20v2", "o'brien", "my pets", "Größe", "猫", "x" * 256, "-", "a..b"])
def test_a_name_that_a_registry_takes_is_kept(name: str) -> None:
    """As it was written."""
    assert load(f"register.name={name}").register.name == name


def test_an_experiment_may_be_named_like_a_path() -> None:
    """MLflow takes any text there; control characters, blanks alone and more than its column holds are refused."""
    assert load("register.experiment=team/pets:v2").register.experiment == "team/pets:v2"
    assert problems("register.experiment=a\x00b") == [
        r"register.experiment is 'a\x00b'; expected a name without '\x00'"
    ]
    assert problems(f"register.experiment={'x' * 257}")[0].endswith("of at most 256 characters; this has 257")


def test_an_empty_name_means_the_default(tmp_path: Path) -> None:
    """As the table of settings says; blanks alone do not."""
    register = load("register.name=", "register.experiment=").register
    assert (register.name, register.experiment) == ("digits-classifier", "digits-classifier")
    (tmp_path / "settings.toml").write_text("[register]\nname = '  '\nexperiment = ' '\n")
    assert len(problems(file=str(tmp_path / "settings.toml"))) == 2


@pytest.mark.parametrize("folder", ["a:b", "..c", "x" * 250, "写真", "what?", "tab\there", " "])
def test_the_name_that_follows_from_a_folder_is_one_that_a_registry_takes(tmp_path: Path, folder: str) -> None:
    """Whatever the folder is called."""
    (tmp_path / folder).mkdir()
    name = load(source=str(tmp_path / folder)).register.name
    assert name.endswith("-classifier")
    assert load(f"register.name={name}").register.name == name


def test_seeds_are_those_of_numpy() -> None:
    """A larger one would end in a traceback when training begins; so would that of an ensemble's last member."""
    assert problems("train.seed=4294967296") == ["train.seed is 4294967296; expected 0 to 4294967295"]
    assert "train.members=2 would have a seed above" in problems("train.seed=4294967295", "train.members=2")[0]


@pytest.mark.parametrize("setting", ["schedule.cron", "schedule.watch"])
def test_a_schedule_that_never_comes_is_refused(setting: str) -> None:
    """Not by Airflow, which would list the DAG and never run it."""
    (message,) = problems(f"{setting}=0 0 30 2 *")
    assert message.startswith(f"{setting} is '0 0 30 2 *'; expected five fields such as '0 3 * * 1', or one of @hourly")


def test_the_variables_of_a_kubernetes_service_are_left_alone() -> None:
    """Each pod beside a service called pipeline, or pipeline-train, gets them."""
    links = {
        "PIPELINE_SERVICE_HOST": "10.0.0.1",
        "PIPELINE_SERVICE_PORT": "80",
        "PIPELINE_SERVICE_PORT_HTTP": "80",
        "PIPELINE_PORT": "tcp://10.0.0.1:80",
        "PIPELINE_PORT_80_TCP": "tcp://10.0.0.1:80",
        "PIPELINE_PORT_80_TCP_ADDR": "10.0.0.1",
        "PIPELINE_TRAIN_SERVICE_HOST": "10.0.0.1",
        "PIPELINE_TRAIN_PORT": "tcp://10.0.0.1:80",
    }
    assert load(**links) == load()
    assert len(problems(PIPELINE_PORT="8080", PIPELINE_TRAIN_PORT="8080")) == 2


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ("cnn_bn,tiny", "train.depth is 2, which train.member_models=cnn_bn,tiny cannot use; leave it at 0"),
        ("cnn_bn,nowhere:net", "train.member_models=cnn_bn,nowhere:net: there is no module nowhere; expected"),
    ],
)
def test_every_network_of_an_ensemble_is_checked(networks: str, message: str) -> None:
    """Not only the first: an unknown network or a setting that one cannot use is reported before anything runs."""
    (problem,) = problems("train.members=2", f"train.member_models={networks}", "train.depth=2")
    assert problem.startswith(message)


def test_what_the_source_cannot_use_is_reported_with_the_other_problems() -> None:
    """Before anything runs: digits have a test split of their own, and adam has no momentum."""
    assert [problem.partition(" ")[0] for problem in problems("ingest.test_share=0.3", "train.momentum=0.5")] == [
        "ingest.test_share", "train.momentum",
    ]  # fmt: skip


def test_a_missing_settings_file_is_reported() -> None:
    """A misspelt path must not mean the defaults."""
    assert "no settings file /nowhere.toml" in problems(file="/nowhere.toml")[0]


def test_an_unknown_source_gets_a_suggestion() -> None:
    """`mnits` is not taken for a folder."""
    with pytest.raises(SourceError, match="did you mean 'mnist'"):
        load(source="mnits")


def test_a_whole_number_where_a_share_belongs_is_the_same_setting() -> None:
    """1 and 1.0 are one value, so they give one key."""
    assert Gate(min_accuracy=1) == Gate(min_accuracy=1.0)
    assert isinstance(Gate(min_accuracy=1).min_accuracy, float)


def test_every_default_is_within_its_own_bounds_and_explained() -> None:
    """Each section can be created without arguments, and each setting has a help text."""
    for section in SECTIONS.values():
        section()
    assert all(spec.metadata["help"] for spec in config.SETTINGS.values())


def test_chosen_settings_are_separated_from_defaults() -> None:
    """The command in the report repeats the choices alone."""
    assert config.chosen(load("train.epochs=3")) == {"train.epochs": 3}
    assert config.chosen(load()) == {}


def test_the_machine_settles_precision_and_threads_with_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before any key: machines that make other bytes use other keys, unless a user fixes both."""

    def key_on(cores: int, cpuinfo: str, *overrides: str) -> str:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
        monkeypatch.setattr("components.system.processor.CPUINFO", tmp_path / "cpuinfo")
        monkeypatch.setattr("components.train.machine.cores", lambda: cores)
        params = load(*overrides)
        assert config.chosen(params).keys() <= {"train.threads", "train.precision"} & {*config.read("", overrides)}
        return key(recipe_of("train", params, {"normalize": "d1"}))

    laptop, server, older = (8, "amx_bf16"), (64, "amx_bf16"), (8, "avx2")
    assert len({key_on(*machine) for machine in (laptop, server, older)}) == 3
    fixed = ("train.threads=2", "train.precision=float32")
    assert len({key_on(*machine, *fixed) for machine in (laptop, server, older)}) == 1
    assert key_on(*older) == key_on(*laptop, "train.precision=float32")


def test_the_stages_that_compute_after_training_are_keyed_by_its_threads() -> None:
    """Pruning trains too, and evaluation computes in the same process."""
    one, two = (load(f"train.threads={count}") for count in (1, 2))
    for stage in ("train", "evaluate", "export"):
        assert recipe_of(stage, one, {"train": "d1"}) != recipe_of(stage, two, {"train": "d1"})
    assert recipe_of("normalize", one, {"ingest": "d1"}) == recipe_of("normalize", two, {"ingest": "d1"})


def test_what_nobody_wrote_is_known_as_derived(monkeypatch: pytest.MonkeyPatch) -> None:
    """`settings` marks it."""
    monkeypatch.setattr("components.train.machine.cores", lambda: 8)
    values = config.read("", ["train.precision=float32"], "digits", {})
    derived = config.derived(values, config.settle(values))
    assert {"train.threads", "register.name", "train.epochs"} <= derived
    assert not {"train.precision", "train.seed", "ingest.source"} & derived


def test_every_profile_loads_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the source mnist; a file of that name in the current folder comes first."""
    for name in config.profiles():
        assert load(file=name, source="mnist", MNIST_DIR=str(tmp_path)).ingest.source == "mnist"
    monkeypatch.chdir(tmp_path)
    Path("fast").write_text("[train]\nepochs = 77\n")
    assert load(file="fast").train.epochs == 77
    assert "or a profile: " + ", ".join(config.profiles()) in problems(file="/nowhere.toml")[0]


@pytest.mark.parametrize(
    "name", ["ingest.source", "ingest.data_dir", "ingest.tfds_dir", "validate.schema", "schedule.python"]
)
def test_a_path_may_begin_with_the_home_folder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """dash, zsh after an equals sign, make and a TOML file leave ~ as it is; ./~ is a folder of that name."""
    monkeypatch.setenv("HOME", "/home/ada")

    section, _, short = name.partition(".")

    def value(text: str) -> object:
        return getattr(SECTIONS[section](**{short: text}), short)

    assert value("~/images") == "/home/ada/images"
    assert value("./~") == "./~"
    assert value("~nobody-of-this-name/x") == "~nobody-of-this-name/x"


def test_the_variables_of_paths_may_begin_with_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST_DIR, PIPELINE_CONFIG and PIPELINE_HOME; a user who does not exist is no error of the program."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "settings.toml").write_text("[train]\nepochs = 2\n")
    assert load(MNIST_DIR="~/mnist").ingest.data_dir == f"{tmp_path}/mnist"
    assert load(file="~/settings.toml").train.epochs == 2
    monkeypatch.setenv("PIPELINE_HOME", "~/work")
    assert Home.from_environment().root == tmp_path / "work"
    monkeypatch.setenv("PIPELINE_HOME", "~nobody-of-this-name")
    assert Home.from_environment().root.name == "~nobody-of-this-name"
