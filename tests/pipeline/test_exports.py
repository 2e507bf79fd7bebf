"""Published exports in a workspace: run, promote, roll back, verify, and a registry that is away or was wiped."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from components.artifact_files import MODEL_INFO
from components.inference import model_info
from components.registry.client import CHAMPION, Registry
from components.registry.exports import SHA256_TAG, Exports
from components.registry.model_version import ModelVersion
from pipeline import config, execute
from pipeline.explain import explain
from pipeline.exports import exports_of
from pipeline.home import Home
from pipeline.run_record import RunRecord
from pipeline.runner import Runner
from tests.conftest import QUICK, command, quick_run

NAME = "digits-classifier"


def exports(home: Path) -> Exports:
    return exports_of(Home(home), Registry(Home(home).tracking_uri))


def champion(home: Path) -> str:
    """The version whose files the link leads to, by its own model_info.json; "" where there is no link."""
    link = exports(home).link(NAME)
    return str(model_info.read(link)["version"]) if link.is_symlink() else ""


def test_a_run_publishes_its_version_and_the_link_leads_to_it(finished: Path) -> None:
    """From the alias by the tag to every byte; what is published is what export wrote and measured."""
    published = exports(finished)
    version = published.registry.alias(NAME, CHAMPION)
    assert version is not None
    info = model_info.read(published.link(NAME), version.tags[SHA256_TAG])
    model_info.verify(published.folder(version), info, info["files"])
    assert (info["model"], info["version"], info["model_sha256"]) == (NAME, "1", version.model_sha256)
    artifact = Home(finished).store.path("export", version.tags["export.key"])
    files = {path.relative_to(artifact).as_posix() for path in artifact.rglob("*") if path.is_file()}
    assert {*info["files"], MODEL_INFO, "manifest.json"} == files
    assert published.folder(version).joinpath("model.tflite").samefile(artifact / "model.tflite")


def test_a_rollback_takes_the_link_along_and_fetches_what_is_gone(home: Path) -> None:
    """Also where gc has deleted the artifact and the folder of the former champion: MLflow has a copy."""
    assert quick_run(home, "--set", "train.epochs=1")["model"]["version"] == "2"
    assert champion(home) == "2"
    shutil.rmtree(home / "exports" / NAME / "1")
    old = Home(home).store.path("export", _version(home, "1").tags["export.key"])
    shutil.rmtree(old)
    done = command(home, "rollback")
    assert done.returncode == 0, done.stderr
    assert champion(home) == "1"
    shutil.rmtree(home / "exports")  # a crash after the alias moved, or somebody's clean-up
    done = command(home, "promote", "2", "--force", "--reason", "better all the same")
    assert done.returncode == 0, done.stderr
    assert champion(home) == "2"
    verified = command(home, "verify")
    assert (verified.returncode, verified.stdout.splitlines()[-1].endswith("0 damaged")) == (0, True)


def _version(home: Path, number: str) -> ModelVersion:
    version = Registry(Home(home).tracking_uri).version(NAME, number)
    assert version is not None
    return version


@pytest.mark.parametrize("damage", ["changed", "missing", "misled"])
def test_verify_reads_published_exports_too(home: Path, damage: str) -> None:
    """Each file against model_info.json, that against the tag, and the link against the alias."""
    folder = home / "exports" / NAME / "1"
    match damage:
        case "changed":
            (folder / "model.tflite").write_bytes(bytes((folder / "model.tflite").stat().st_size))
        case "missing":
            (folder / "labels.txt").unlink()
        case "misled":
            (folder.parent / "champion").unlink()
            (folder.parent / "champion").symlink_to("7")
    done = command(home, "verify", "--json")
    assert done.returncode == 1
    (problem,) = [row["problem"] for row in json.loads(done.stdout) if row["stage"] == "promote"]
    place = {"changed": "model.tflite was changed", "missing": "labels.txt cannot be read", "misled": "points at 7"}
    assert place[damage] in problem


def keep_files_here(home: Path, finished: Path) -> None:
    """Let MLflow look for its files in *home*, a copy of *finished*, which other tests read meanwhile."""
    columns = ("model_versions.source", "model_versions.storage_location", "logged_models.artifact_location")
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        for table, column in (name.split(".") for name in columns):
            query = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"  # noqa: S608 - the names above
            assert database.execute(query, (f"{finished}/", f"{home}/")).rowcount


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_verify_reads_mlflow_s_copy_too_and_a_run_logs_it_again(home: Path, finished: Path, damage: str) -> None:
    """As its sentence says: the folder is deleted, and the next run has it whole."""
    keep_files_here(home, finished)
    copy = Path(unquote(urlsplit(_version(home, "1").source).path)) / "exports"
    assert copy.is_relative_to(home)
    content = (copy / "model.tflite").read_bytes()
    (copy / "model.tflite").unlink()
    if damage == "changed":
        (copy / "model.tflite").write_bytes(bytes(len(content)))
    done = command(home, "verify", "--json")
    (problem,) = [row["problem"] for row in json.loads(done.stdout) if row["problem"]]
    assert f"delete the folder {copy}, which" in problem
    assert "model.tflite" in problem
    shutil.rmtree(copy)
    assert [stage["stage"] for stage in quick_run(home)["stages"] if stage["made"]] == []
    assert (copy / "model.tflite").read_bytes() == content
    assert command(home, "verify").returncode == 0


def test_explain_needs_no_registry(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away, or wiped: only what export would do is not known, and the sentence says why."""
    params = config.load("", QUICK, "digits", {})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    away = {each.stage: each for each in explain(Runner(params, Home(home), RunRecord("away", "")))}
    assert (away["evaluate"].verdict, away["export"].verdict) == ("reuse", "wait")
    assert away["export"].reasons[0].startswith("MLflow at http://127.0.0.1:9 did not answer")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/wiped.db")
    wiped = {each.stage: each for each in explain(Runner(params, Home(home), RunRecord("wiped", "")))}
    assert (wiped["export"].verdict, wiped["export"].reasons) == ("wait", [f"{NAME} has no version of this model"])


def test_a_model_is_registered_before_it_is_exported(home: Path) -> None:
    """Its version is in every file; the sentence names the command."""
    (home / "mlflow.db").unlink()
    done = command(home, "stage", "export", "--source", "digits", *(f"--set={setting}" for setting in QUICK))
    assert done.returncode == 1
    assert f"{NAME} has no version of this model; register it first: " in done.stderr
    assert " -m pipeline stage register --source digits" in done.stderr


def test_a_wiped_registry_gets_version_and_copy_again_and_nothing_is_exported_twice(home: Path) -> None:
    """The same version of the same model is the same export; only MLflow's copy and the tags are written again."""
    (home / "mlflow.db").unlink()
    params = config.load("", QUICK, "digits", {})
    runner = execute.run(params, Home(home))
    made = [done.stage for done in runner.record.stages if done.made]
    assert made in (["register", "promote"], ["register", "export", "promote"])  # another commit is another card
    assert champion(home) == "1"
    assert _version(home, "1").tags[SHA256_TAG]
