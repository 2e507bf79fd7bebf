"""The DAGs of settings files: several models in one Airflow."""

import os
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from components.errors import ConfigError
from pipeline.airflow import retraining
from pipeline.airflow.project import Project, home_of, homes
from pipeline.airflow.task import StageTask

DAGS = ("retrain", "watch_data")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the settings of one model, which is the current folder; the workspace is beside it."""
    folder = tmp_path / "settings"
    folder.mkdir()
    (folder / "receipts.toml").write_text(
        '[ingest]\nsource = "digits"\n[register]\nname = "receipts"\n'
        '[schedule]\nowner = "ana"\ntags = "finance, weekly"\ndescription = "Kinds of receipts"\n'
    )
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PIPELINE_CONFIG", raising=False)
    return folder


def by_id(dags: list[DAG]) -> dict[str, DAG]:
    return {dag.dag_id: dag for dag in dags}


def project(dag: DAG) -> Project:
    task = dag.get_task("train")
    assert isinstance(task, StageTask)
    return task.project


def test_the_dags_of_a_file_are_named_after_it() -> None:
    """Ids, tags, owner, description and the champion's asset are those of the model."""
    dags = by_id(retraining("receipts.toml"))
    assert {f"receipts_{dag}" for dag in DAGS} <= set(dags)
    retrain = dags["receipts_retrain"]
    assert {"pipeline", "receipts", "finance", "weekly"} <= retrain.tags
    assert retrain.description == "Kinds of receipts"
    assert {task.owner for dag in dags.values() for task in dag.tasks} == {"ana"}
    assert "champion of receipts" in [outlet.name for outlet in retrain.get_task("promote").outlets]
    assert [outlet.name for outlet in dags["receipts_watch_data"].get_task("look").outlets] == ["images of receipts"]


def test_the_dags_of_the_environment_keep_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """With or without a settings file, and in the file settings.toml of a folder; schedule.name names them."""
    assert set(DAGS) <= set(by_id(retraining()))
    monkeypatch.setenv("PIPELINE_CONFIG", "receipts.toml")
    assert set(DAGS) <= set(by_id(retraining()))
    Path("settings.toml").touch()
    assert set(DAGS) <= set(by_id(retraining("settings.toml")))
    monkeypatch.setenv("PIPELINE_SCHEDULE_NAME", "bills")
    assert "bills_retrain" in by_id(retraining())
    assert "bills_retrain" in by_id(retraining("receipts.toml"))


def test_a_dag_file_finds_the_settings_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever Airflow was started, and wherever a bundle was unpacked."""
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "invoices.toml").write_text('[ingest]\nsource = "digits"\n')
    code = compile('dags = retraining("invoices.toml")', str(bundle / "invoices.py"), "exec")
    names: dict[str, Any] = {"retraining": retraining}
    exec(code, names)  # noqa: S102 - as Airflow runs a DAG file
    assert project(by_id(names["dags"])["invoices_retrain"]).file == str(bundle / "invoices.toml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[train", "cannot be read"),
        ("[train]\nepoch = 3\n", "no setting is called 'train.epoch'; did you mean 'train.epochs'?"),
        ('[schedule]\nname = "my receipts"\n', "schedule.name is 'my receipts'; expected letters, digits"),
        ('[schedule]\nhome = "work"\n', "schedule.home is 'work'; expected an absolute path"),
        ('[schedule]\ncron = "weekly"\n', "schedule.cron is 'weekly'; expected five fields"),
    ],
)
def test_a_wrong_file_is_refused_in_its_sentence(folder: Path, text: str, sentence: str) -> None:
    """Which Airflow shows as the import error of its DAG file."""
    (folder / "wrong.toml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        retraining("wrong.toml")
    assert sentence in str(raised.value)


def test_a_file_that_is_missing_or_whose_name_is_no_id_is_refused(folder: Path) -> None:
    """With the setting that helps."""
    with pytest.raises(ConfigError, match=r"there is no settings file .*nowhere\.toml"):
        retraining("nowhere.toml")
    (folder / "my receipts.toml").touch()
    with pytest.raises(ConfigError, match=r"cannot begin with 'my receipts'; .*; set schedule\.name in the file"):
        retraining("my receipts.toml")


@pytest.mark.parametrize(
    "text", ["[train", "[train]\nepoch = 3\n", '[schedule]\ncron = "x"\n', '[schedule]\ntimezone = "x"\n']
)
def test_a_file_that_is_being_edited_stops_no_task(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The worker reads the DAG file for each task; the run has its settings already."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "receipts_retrain")
    (folder / "receipts.toml").write_text(text)
    assert "receipts_retrain" in by_id(retraining("receipts.toml"))


def test_a_task_works_with_the_settings_and_in_the_workspace_of_its_model(folder: Path, tmp_path: Path) -> None:
    """And leaves the environment as it was; the UI then finds the runs of its DAG."""
    own = tmp_path / "of receipts"
    with (folder / "receipts.toml").open("a") as file:
        file.write(f'home = "{own}"\n')
    dags = by_id(retraining("receipts.toml"))
    before = dict(os.environ)
    with project(dags["receipts_retrain"]).of_task("receipts_retrain"):
        assert os.environ["PIPELINE_CONFIG"] == str(folder / "receipts.toml")
        assert os.environ["PIPELINE_HOME"] == str(own)
    assert {**os.environ, "PIPELINE_CONFIG": ""} == {**before, "PIPELINE_CONFIG": ""}
    assert home_of("receipts_retrain").root == own
    assert home_of("retrain").root == tmp_path / "home"
    assert [home.root for home in homes()] == [tmp_path / "home", own]
    with Project().of_task("receipts_retrain"):
        assert home_of("receipts_retrain").root == tmp_path / "home"


@pytest.mark.parametrize("home", ["", "workspace", "./work"])
def test_a_relative_workspace_is_refused_in_a_task(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    """A worker would put it into whatever folder it was started in."""
    monkeypatch.setenv("PIPELINE_HOME", home)
    with pytest.raises(ConfigError, match="set it to an absolute path") as raised, Project().of_task("retrain"):
        pass
    assert len(str(raised.value).splitlines()) == 1
