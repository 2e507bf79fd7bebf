"""What MLflow gets: values that its database takes, and no credentials."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from components.errors import ConfigError, RegistryUnreachable
from components.registry import promotion_log
from components.registry.client import Registry
from components.registry.model_version import MODEL_SHA256_TAG, ModelVersion
from components.registry.promotion_log import Promotion
from components.settings.sections import Params
from pipeline import config, execute
from pipeline.home import Home
from pipeline.mlflow_run import KIND_TAG, RUN_TAG, experiment_id, log_batch
from pipeline.run_record import RunRecord, find, git_commit
from pipeline.runner import Runner
from pipeline.store.artifact import Artifact
from pipeline.tracking import KEYED, TEST_DIGEST_TAG, Tracking
from pipeline.tracking import test_digest as digest_of_test
from pipeline.tuning.tracking import SearchTracking


@pytest.fixture
def entities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for MLflow's values: to import MLflow takes seconds."""
    module: Any = ModuleType("mlflow.entities")
    module.Metric = module.Param = module.RunTag = lambda *values: values
    monkeypatch.setitem(sys.modules, "mlflow", ModuleType("mlflow"))
    monkeypatch.setitem(sys.modules, "mlflow.entities", module)


@pytest.mark.usefixtures("entities")
def test_parameters_and_tags_hold_no_credentials() -> None:
    """Nor bytes that are no UTF-8, which MLflow's database refuses after the whole training."""
    logged: list[Any] = []
    client = SimpleNamespace(log_batch=lambda run, *values: logged.extend(values))
    params = {"ingest.mirror": "http://user:secret@host/", "ingest.source": "photos-\udce9"}
    log_batch(client, "run", [("loss", 0.5, 1)], params, {"error": "no answer from http://user:secret@host/"})
    [[metric], shown, tags] = logged
    assert (metric[0], metric[1], metric[3]) == ("loss", 0.5, 1)
    assert shown == [("ingest.mirror", "http://***@host/"), ("ingest.source", "photos-\\xe9")]
    assert tags == [("error", "no answer from http://***@host/")]


@pytest.fixture
def unusable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry to which nothing can be logged."""

    def refuse(*_: object) -> None:
        raise ConfigError("MLflow's experiment is deleted")

    monkeypatch.setattr(Registry, "expect_usable", refuse)


@pytest.mark.usefixtures("unusable")
def test_a_registry_that_takes_nothing_is_reported_before_anything_is_made(tmp_path: Path) -> None:
    """Also by a run that ends before register, whose measurements would go there."""
    with pytest.raises(ConfigError, match="experiment is deleted"):
        execute.run(config.load("", (), "digits", {}), Home(tmp_path), until="ingest")
    assert list(Home(tmp_path).store.list()) == []


@pytest.mark.usefixtures("unusable")
def test_a_registry_that_takes_nothing_is_reported_before_a_search(tmp_path: Path) -> None:
    """Not after its first trial."""
    plan: Any = SimpleNamespace(params=Params())
    with pytest.raises(ConfigError, match="experiment is deleted"):
        SearchTracking(Home(tmp_path), plan, study=None)  # type: ignore[arg-type]


def test_an_address_of_no_registry_is_reported_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLFLOW_TRACKING_URI=./mlruns: a sentence, no artifact and no folder mlruns."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"MLFLOW_TRACKING_URI is './mlruns'"):
        execute.run(config.load("", (), "digits", {}), Home(tmp_path / "home"))
    assert list(Home(tmp_path / "home").store.list()) == []
    assert not (tmp_path / "mlruns").exists()


class Experiments:
    """A registry with the experiments *known*; one that it lacks is created by another run at the same moment."""

    def __init__(self, *known: SimpleNamespace) -> None:
        self.client, self.known = self, list(known)

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return next((one for one in self.known if one.name == name), None)

    def create_experiment(self, name: str, artifact_location: str | None) -> None:
        from mlflow.exceptions import MlflowException

        self.known.append(SimpleNamespace(name=name, experiment_id="7", lifecycle_stage="active", tags={KIND_TAG: "x"}))
        raise MlflowException(name, error_code=EXISTS)


EXISTS = 3001  # RESOURCE_ALREADY_EXISTS


def test_an_experiment_that_another_run_has_just_created_is_found(tmp_path: Path) -> None:
    """First runs at once: the one that comes second takes the experiment of the first."""
    registry: Any = Experiments()
    assert experiment_id(registry, Params(), Home(tmp_path)) == "7"


def test_an_experiment_that_is_deleted_while_a_run_trains_is_reported(tmp_path: Path) -> None:
    """Where the question before the run did not find it."""
    name = Params().register.experiment
    registry: Any = Experiments(SimpleNamespace(name=name, experiment_id="1", lifecycle_stage="deleted"))
    with pytest.raises(ConfigError, match=r"is deleted.*set register\.experiment"):
        experiment_id(registry, Params(), Home(tmp_path))


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("must", [True, False])
def test_drift_from_a_champion_that_is_known_is_not_waved_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], known: bool, must: bool
) -> None:
    """With MLflow away, a scheduled run waits for it where there is a champion; any other goes on with a warning."""
    home = Home(tmp_path)
    if known:
        promotion_log.append(home.promotions, Promotion(action="promote", name="digits", version="1", model_sha256="a"))
    params = config.load("", ["register.name=digits"], "digits", {})
    tracking = Tracking(params, home, RunRecord("r", ""), failing_artifact, must_judge_drift=must)
    tracking.registry = Registry("http://127.0.0.1:9")
    if known and must:
        with pytest.raises(RegistryUnreachable, match=r"cannot be judged: MLflow at \S+ did not answer \("):
            tracking.champion_statistics()
    else:
        assert tracking.champion_statistics() is None
        assert "warning: drift against the champion's data is not checked" in capsys.readouterr().err


def failing_artifact(stage: str) -> Artifact:
    raise AssertionError(stage)


@pytest.mark.parametrize(
    ("run", "stage", "must"), [("dag", "validate", True), ("dag", "train", False), ("", "validate", False)]
)
def test_a_scheduled_run_must_judge_the_drift_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: str, stage: str, must: bool
) -> None:
    """In its task `validate`: the later ones, as a training of hours, do not wait for MLflow."""
    seen = []

    def look(runner: Runner, stage: str, *, force: bool) -> None:
        seen.append(runner.tracking.must_judge_drift)
        raise ConfigError("enough")

    monkeypatch.setattr(Runner, "run_stage", look)
    with pytest.raises(ConfigError, match="enough"):
        execute.run_stage(config.load("", (), "digits", {}), Home(tmp_path), stage, run)
    assert seen == [must]


def test_the_models_that_the_test_images_judged_are_counted_once_each(tmp_path: Path) -> None:
    """Versions on the same test images, and this run's model; two versions of one model are one."""
    tags = [("a", "same"), ("a", "same"), ("b", "same"), ("c", "other"), ("d", None)]
    versions = [
        ModelVersion("m", str(number), tags={MODEL_SHA256_TAG: model, **({TEST_DIGEST_TAG: test} if test else {})})
        for number, (model, test) in enumerate(tags)
    ]
    artifacts: Any = {
        "normalize": SimpleNamespace(files={"test/labels.npy": "1", "train/labels.npy": "2"}),
        "train": SimpleNamespace(files={"model.keras": "b"}),
    }
    same = digest_of_test(artifacts["normalize"])
    for version in versions:
        if version.tags.get(TEST_DIGEST_TAG) == "same":
            version.tags[TEST_DIGEST_TAG] = same
    tracking = Tracking(Params(), Home(tmp_path), RunRecord("r", ""), artifacts.__getitem__)
    tracking.registry = SimpleNamespace(versions=lambda _name: versions)  # type: ignore[assignment]
    assert tracking.judged_models() == 2
    artifacts["train"].files["model.keras"] = "new"
    assert tracking.judged_models() == 3


def test_the_record_names_the_mlflow_run_as_soon_as_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved once, for the links of Airflow's tasks, however many ask for the run."""

    def open_run(_registry: object, _params: object, _home: object, record: RunRecord) -> None:
        record.mlflow_run = "id"

    monkeypatch.setattr("pipeline.tracking.open_run", open_run)
    saved: list[str] = []
    record, artifacts = RunRecord("r", ""), dict[str, Artifact]()
    tracking = Tracking(
        Params(), Home(tmp_path), record, artifacts.__getitem__, lambda: saved.append(record.mlflow_run)
    )
    assert [tracking.run_id(), tracking.run_id()] == ["id", "id"]
    assert saved == ["id"]


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_a_trial_of_a_search_has_no_mlflow_run_of_its_own(
    tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search logs its trials, and its watch ends those that are not worth going on; no other stage is watched."""
    monkeypatch.setattr(Tracking, "training", None)

    def watch(_: object) -> None: ...

    searched = Runner(Params(), Home(tmp_path), RunRecord("r", ""), watch=watch)
    with searched._watched(stage) as watching:
        assert watching is watch
    if stage != "train":
        with Runner(Params(), Home(tmp_path), RunRecord("r", ""))._watched(stage) as watching:
            assert watching is None


def test_a_version_names_the_images_the_settings_the_code_and_the_run_that_it_comes_from(finished: Path) -> None:
    """By key and digest of every stage, the digests of what it learned from and was tested on, commit and run."""
    home = Home(finished)
    record = find(home)
    [version] = Registry(home.tracking_uri).versions("digits-classifier")
    made = {done.stage: done for done in record.stages}
    for stage in KEYED:
        assert (version.tags[f"{stage}.key"], version.tags[f"{stage}.digest"]) == (made[stage].key, made[stage].digest)
    normalize = home.store.get("normalize", made["normalize"].key)
    assert normalize
    assert {name: version.tags[name] for name in ("data_digest", TEST_DIGEST_TAG, "source", "git_commit", RUN_TAG)} == {
        "data_digest": made["ingest"].digest,
        TEST_DIGEST_TAG: digest_of_test(normalize),
        "source": "digits",
        "git_commit": git_commit(),
        RUN_TAG: record.run,
    }
    assert float(version.tags["accuracy"]) == pytest.approx(record.accuracy, abs=1e-6)
