"""A folder of settings files: a DAG file for each, and what `make airflow` says of those that are wrong."""

import os
from pathlib import Path
from typing import Any

import pytest

from components.errors import ConfigError
from pipeline.airflow.dag_files import settings_folder, write_dag_files
from pipeline.airflow.settings_folder import SettingsFolder
from pipeline.airflow.standalone import environment, preflight
from pipeline.airflow.standalone.environment import DAGS, Local
from pipeline.airflow.standalone.rest_client import PAGE, Api


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that $PIPELINE_CONFIG names, with one model."""
    folder = tmp_path / "it's 100 %"
    folder.mkdir()
    (folder / "settings.toml").write_text('[ingest]\nsource = "digits"\n')
    for name in [name for name in os.environ if name.startswith("PIPELINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIPELINE_CONFIG", str(folder))
    return folder


def test_files_come_change_and_go(folder: Path, tmp_path: Path) -> None:
    """As those of the settings do; one that did not change keeps its time, so Airflow does not read it again."""
    target = tmp_path / "dags"
    write_dag_files(folder, target)
    before = (target / "settings.py").stat().st_mtime_ns
    (folder / "receipts.toml").touch()
    (folder / ".draft.toml").touch()
    write_dag_files(folder, target)
    assert {file.name for file in target.iterdir()} == {"settings.py", "receipts.py"}
    assert (target / "settings.py").stat().st_mtime_ns == before
    (folder / "receipts.toml").unlink()
    write_dag_files(folder, target)
    assert {file.name for file in target.iterdir()} == {"settings.py"}


def test_a_bundle_has_them_when_airflow_asks(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its start, in the DAG processor as in a worker, and at each refresh."""
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    kwargs: Any = environment.bundle(folder)["kwargs"]
    bundle = SettingsFolder(name="settings", **kwargs)
    bundle.initialize()
    assert {file.name for file in bundle.path.glob("*.py")} == {"settings.py"}
    (folder / "receipts.toml").touch()
    bundle.refresh()
    assert {file.name for file in bundle.path.glob("*.py")} == {"settings.py", "receipts.py"}


def test_a_local_airflow_reads_the_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its own folder of DAGs where PIPELINE_CONFIG names a file."""
    assert "SettingsFolder" in Local(tmp_path / "a").environment()["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"]
    assert environment.config_variable() == {"PIPELINE_CONFIG": str(folder)}
    monkeypatch.setenv("PIPELINE_CONFIG", str(folder / "settings.toml"))
    assert settings_folder() is None
    assert "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST" not in Local(tmp_path / "a").environment()


def test_a_wrong_file_is_a_warning_as_long_as_another_is_right(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service that starts with the machine retrains the other models."""
    (folder / "wrong.toml").write_text("[train]\nepoch = 3\nmodels = 1\n")
    environment = Local(tmp_path / "airflow").environment()
    preflight.expect_settings()
    assert {"retrain", "watch_data"} <= set(preflight.importable(DAGS, environment))
    [warning] = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: wrong.toml is left out: no setting is called 'train.epoch'; did you mean")
    assert "; no setting is called 'train.models'" in warning
    (folder / "settings.toml").unlink()
    with pytest.raises(ConfigError, match="no setting is called"):
        preflight.importable(DAGS, environment)
    (folder / "wrong.toml").unlink()
    with pytest.raises(ConfigError, match=r"there is no settings file in .*; expected one FILE\.toml for each model"):
        preflight.expect_settings()


class Many(Api):
    """Airflow with the DAGs of many models, a page at a time."""

    def __init__(self, models: int, wrong: int) -> None:
        super().__init__("", "", "")
        self._models, self._wrong = models, wrong

    def get(self, path: str) -> Any:
        offset = int(path.rpartition("=")[2])
        if path.startswith("importErrors"):
            every = [
                {"filename": f"{n}.py", "stack_trace": "components.errors.ConfigError: wrong"}
                for n in range(self._wrong)
            ]
            return {"import_errors": every[offset : offset + PAGE], "total_entries": self._wrong}
        dags = [{"fileloc": f"{n // 2}.py"} for n in range(2 * self._models)]
        return {"dags": dags[offset : offset + PAGE], "total_entries": len(dags)}


def test_all_files_are_waited_for() -> None:
    """Also where their DAGs fill several pages; those that are wrong have been read, and all wrong is an error."""
    assert preflight.are_read(Many(120, 3), 123)
    assert not preflight.are_read(Many(119, 3), 123)
    with pytest.raises(ConfigError, match="wrong"):
        preflight.are_read(Many(0, 123), 123)
