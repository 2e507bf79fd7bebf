"""The folder of a local Airflow: who may read it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.airflow.standalone.environment import Local
from pipeline.airflow.standalone.processes import Parts


@pytest.fixture(autouse=True)
def _generous_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {path.name: f"{path.stat().st_mode & 0o777:o}" for path in (folder, *folder.rglob("*"))}


@pytest.mark.parametrize("earlier", [False, True])
def test_database_and_logs_are_their_owners_alone(tmp_path: Path, earlier: bool) -> None:
    """Those of an earlier version too, which everybody could read."""
    local = Local(tmp_path / "airflow")
    if earlier:
        local.logs.mkdir(parents=True)
        (local.home / "airflow.db").touch(0o644)
    environment = local.environment()
    parts = Parts(local.logs, environment)
    parts.start("part", ["true"])
    parts.stop()
    found = modes(local.home)
    assert {found[name] for name in ("airflow", "logs")} == {"700"}
    assert {found[name] for name in ("airflow.db", "passwords.json", "secret", "part.log")} == {"600"}
    assert environment["AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS"] == "0o600"


def test_trainings_share_a_pool_unless_the_settings_say_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one slot, which the scheduler creates; the pool that the settings file names is left to it."""
    monkeypatch.delenv("PIPELINE_CONFIG", raising=False)
    assert Local(tmp_path / "airflow").environment()["PIPELINE_SCHEDULE_TRAIN_POOL"] == "training"
    (tmp_path / "settings.toml").write_text('[schedule]\ntrain_pool = "gpu"\n')
    monkeypatch.setenv("PIPELINE_CONFIG", str(tmp_path / "settings.toml"))
    assert "PIPELINE_SCHEDULE_TRAIN_POOL" not in Local(tmp_path / "airflow").environment()


def test_a_file_that_changes_is_read_within_a_minute(tmp_path: Path) -> None:
    """Half of it until the folder is looked at again, half until a file that was just read may be read again."""
    environment = Local(tmp_path / "airflow").environment()
    waits = ("REFRESH_INTERVAL", "MIN_FILE_PROCESS_INTERVAL")
    assert sum(int(environment[f"AIRFLOW__DAG_PROCESSOR__{name}"]) for name in waits) <= 60
