"""A run keeps the settings with which it began; bounds may change while it lasts."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import Context

from pipeline import config, run_settings
from pipeline.airflow.pinned_settings import KEY, of_run, pin
from pipeline.airflow.run_names import run_name
from pipeline.home import Home
from pipeline.run_record import Done, RunRecord, RunRecorder

FILE = """
[ingest]
source = "digits"
[train]
epochs = 3
[gate]
min_accuracy = 0.97
"""


class Run:
    """A DAG run: its XComs by task and key."""

    def __init__(self, run_id: str = "manual", **pushed: Mapping[str, Any]) -> None:
        self.pushed = {(task, "return_value"): value for task, value in pushed.items()}
        ti = SimpleNamespace(dag_id="retrain", run_id=run_id, xcom_pull=self._pull, xcom_push=self._push)
        self.context = cast("Context", {"ti": ti})

    def _pull(self, *, task_ids: str, key: str = "return_value") -> Mapping[str, Any] | None:
        return self.pushed.get((task_ids, key))

    def _push(self, key: str, value: Mapping[str, Any]) -> None:
        self.pushed["ingest", key] = value

    def ingest(self, *form: str) -> None:
        """What the first task does."""
        params = run_settings.load(form)
        self.pushed["ingest", "return_value"] = {"source": params.ingest.source}
        pin(self.context, config.flat(params), form)

    def settings(self, stage: str, *form: str) -> dict[str, object]:
        """The settings of the task *stage*, as it reads them."""
        return config.flat(run_settings.load([*form, *of_run(self.context, stage)]))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(FILE)
    monkeypatch.setenv("PIPELINE_CONFIG", str(file))
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "home"))
    return file


def test_a_run_keeps_its_settings_while_the_file_changes(file: Path) -> None:
    """Those that were written, those of the form, and those that nobody wrote."""
    run = Run()
    run.ingest("train.seed=7")
    file.write_text(FILE.replace("epochs = 3", 'epochs = 30\nmodel = "dense"\nseed = 1').replace("digits", "mnist"))
    settings = run.settings("train", "train.seed=7")
    assert (settings["train.epochs"], settings["train.seed"], settings["ingest.source"]) == (3, 7, "digits")
    assert settings["train.model"] != "dense"
    assert settings["register.name"] == "digits-classifier"


def test_bounds_are_read_anew(file: Path) -> None:
    """A gate that was lowered holds for a task that is cleared; one of the form stays, as the form cannot change."""
    run = Run()
    run.ingest("gate.max_regression=0.5")
    file.write_text(FILE.replace("0.97", "0.9\nmax_regression = 0.1"))
    settings = run.settings("evaluate", "gate.max_regression=0.5")
    assert (settings["gate.min_accuracy"], settings["gate.max_regression"]) == (0.9, 0.5)


def test_a_file_that_is_being_edited_stops_no_run(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The gate stays where it was: it does not open because nothing can be read."""
    for broken in (FILE.replace("0.97", "97"), FILE + "[train"):
        run = Run()
        monkeypatch.setenv("PIPELINE_CONFIG", str(file))
        file.write_text(FILE)
        run.ingest()
        file.write_text(broken)
        settings = run.settings("evaluate")
        assert (settings["gate.min_accuracy"], settings["train.epochs"]) == (0.97, 3)
        assert "the settings file is wrong" in caplog.text
        caplog.clear()


def test_two_runs_have_settings_of_their_own(file: Path) -> None:
    """Also at the same time."""
    one, other = Run("one"), Run("other")
    one.ingest("train.epochs=1")
    other.ingest("train.epochs=2")
    assert [run.settings("train")["train.epochs"] for run in (one, other)] == [1, 2]


def test_the_first_task_reads_its_settings_anew(file: Path) -> None:
    """Cleared with all after it, it takes an edited file."""
    run = Run()
    run.ingest()
    file.write_text(FILE.replace("epochs = 3", "epochs = 5"))
    assert of_run(run.context, "ingest") == []
    run.ingest()
    assert run.settings("train")["train.epochs"] == 5


def test_a_training_uses_the_cores_of_the_machine_that_trains(file: Path) -> None:
    """Not those of the worker that read the images, which are not settings of the run."""
    run = Run()
    run.ingest()
    assert {"train.threads=0", "train.precision=auto"} <= set(of_run(run.context, "train"))


@pytest.mark.parametrize("stage", ["evaluate", "register", "export", "promote"])
def test_what_the_machine_that_trained_decided_holds_for_the_later_tasks(file: Path, stage: str) -> None:
    """They run on a machine with fewer cores, or another processor, and still look for that training."""
    run = Run(train={"settled": {"train.threads": 8, "train.precision": "mixed_bfloat16"}})
    run.ingest()
    assert {"train.threads=8", "train.precision=mixed_bfloat16"} <= set(of_run(run.context, stage))


@pytest.mark.parametrize("setting", ["ingest.mirror=http://user:secret@host/", "ingest.data_dir=/data/photos-\udce9"])
def test_what_xcom_cannot_hold_stays_in_the_settings(file: Path, setting: str) -> None:
    """A password would be shown, and a name that is no UTF-8 be another one."""
    name, _, value = setting.partition("=")
    run = Run()
    run.ingest(setting)
    assert name not in run.pushed["ingest", KEY]
    assert run.settings("train", setting)[name] == value


def test_the_record_of_a_run_keeps_its_settings_too(file: Path) -> None:
    """Airflow's XComs are deleted in time, and a run that began before they were kept has none."""
    record = RunRecord(run_name("retrain", "manual"), "2026-01-01T00:00:00Z")
    record.settings = {**config.flat(run_settings.load(["train.epochs=4"])), "ingest.data_dir": "/data/photos-\\xe9"}
    record.settings |= {"train.threads": 64, "train.of_another_version": 1}
    with RunRecorder(Home.from_environment(), record) as recorder:
        run = Run()
        before = of_run(run.context, "train")
        assert "train.epochs=4" in before
        assert not [text for text in before if text.startswith(("train.threads", "train.of_", "ingest.data_dir"))]
        record.stages = [Done("train", "key", "digest", "path", made=True, seconds=1.0)]
        recorder.save()
        assert "train.threads=64" in of_run(run.context, "evaluate")


def test_a_run_without_either_goes_on_with_the_settings_there_are(file: Path) -> None:
    """It keeps the data set on which its first task settled; a folder stands in the settings, in all its bytes."""
    assert of_run(Run(ingest={"source": "digits"}).context, "train") == ["ingest.source=digits"]
    assert of_run(Run(ingest={"source": "/data/photos-\\xe9"}).context, "train") == []
