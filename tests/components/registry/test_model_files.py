"""The files of a version: looked at where MLflow keeps them on this machine."""

import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from components.registry import model_files, recorded_files
from components.registry.model_version import MODEL_SHA256_TAG, ModelVersion

CONTENT = b"the model"


@pytest.fixture
def version(tmp_path: Path) -> ModelVersion:
    """A version with its files below a folder whose name has to be encoded."""
    folder = tmp_path / "100% a?b" / "artifacts"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "data" / "model.keras").write_bytes(CONTENT)
    return ModelVersion("m", "1", tags={MODEL_SHA256_TAG: sha256(CONTENT).hexdigest()}, source=folder.as_uri())


def test_a_whole_version_has_no_damage(version: ModelVersion) -> None:
    """Its folder is found whatever it is called."""
    assert model_files.damage(version) == ""


@pytest.mark.parametrize("name", ["MLmodel", "data/model.keras"])
def test_a_missing_file_is_named(version: ModelVersion, name: str) -> None:
    """Without either of the two, MLflow cannot load the model."""
    folder = model_files.folder_of(version.source)
    assert folder
    (folder / name).unlink()
    assert model_files.damage(version) == f"version 1 of m in the registry: {folder / name} is missing"


def test_a_flipped_bit_is_seen(version: ModelVersion) -> None:
    """The file has its size and another content."""
    folder = model_files.folder_of(version.source)
    assert folder
    (folder / "data" / "model.keras").write_bytes(bytes([CONTENT[0] ^ 1]) + CONTENT[1:])
    assert "model.keras was changed, it has sha256" in model_files.damage(version)


def test_what_another_program_or_server_keeps_is_not_judged(version: ModelVersion) -> None:
    """A version without the tag has no known content, one of a server no folder here."""
    assert model_files.damage(replace(version, tags={}, source="file:///nowhere")) == ""
    for address in ("mlflow-artifacts:/models/m-1", "s3://bucket/models", "models:/m-1", ""):
        assert model_files.damage(replace(version, source=address)) == ""


@pytest.fixture
def recorded(version: ModelVersion) -> ModelVersion:
    """The version with a record of its files."""
    folder = model_files.folder_of(version.source)
    assert folder
    (folder / "requirements.txt").write_text("keras==3")
    digest = recorded_files.write(folder, {})
    return replace(version, tags=version.tags | {recorded_files.SHA256_TAG: digest})


def test_sha256sum_reads_the_record(recorded: ModelVersion) -> None:
    """So everybody can check a downloaded version."""
    folder = model_files.folder_of(recorded.source)
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", recorded_files.RECORD], cwd=folder, check=True, capture_output=True
    )
    assert done.stdout.decode().splitlines() == ["MLmodel: OK", "data/model.keras: OK", "requirements.txt: OK"]
    assert model_files.damage(recorded) == ""


@pytest.mark.parametrize("name", ["MLmodel", "requirements.txt", "data/model.keras", "SHA256SUMS"])
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_every_recorded_file_that_is_changed_or_gone_is_named(recorded: ModelVersion, name: str, how: str) -> None:
    """Also the record itself: its sha256 is in a tag."""
    folder = model_files.folder_of(recorded.source)
    assert folder
    if how == "missing":
        (folder / name).unlink()
    else:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert model_files.damage(recorded).startswith(f"version 1 of m in the registry: {folder / name} ")
    assert how in model_files.damage(recorded)


def test_a_changed_record_does_not_hide_a_changed_model(recorded: ModelVersion) -> None:
    """The model has a tag of its own, and both are named; a quick look reads neither."""
    folder = model_files.folder_of(recorded.source)
    assert folder
    (folder / "data" / "model.keras").write_bytes(b"another model")
    digest = recorded_files.write(folder, {})
    assert [name for name, _ in model_files.damages(recorded, folder)] == ["SHA256SUMS", "data/model.keras"]
    rewritten = replace(recorded, tags=recorded.tags | {recorded_files.SHA256_TAG: digest})
    assert [name for name, _ in model_files.damages(rewritten, folder)] == ["data/model.keras"]
    assert [*model_files.damages(recorded, folder, quick=True)] == []


def test_an_added_file_is_seen_and_what_is_logged_later_is_not_one(recorded: ModelVersion) -> None:
    """Exports and signatures come later, and MLflow writes two kinds of files itself where it loads a model."""
    folder = model_files.folder_of(recorded.source)
    assert folder
    later = ("exports/model.tflite", "signature/model.sig", "registered_model_meta", "code/__pycache__/a.pyc")
    for name in (*later, "code/mlflow.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    assert model_files.damage(recorded) == ""
    assert model_files.added(recorded, folder) == ["code/mlflow.py"]
    assert model_files.added(replace(recorded, tags={}), folder) == []


def test_a_file_with_any_other_content_is_named_with_both_hashes(recorded: ModelVersion) -> None:
    """Whichever of the two hashes is the smaller one; so is any other record."""
    folder = model_files.folder_of(recorded.source)
    assert folder
    expected = sha256(b"keras==3").hexdigest()
    for content in (b"1", b"2", b"3", b"4", b"5", b"6"):
        (folder / "requirements.txt").write_bytes(content)
        assert model_files.damage(version=recorded) == (
            f"version 1 of m in the registry: {folder / 'requirements.txt'} was changed, it has sha256 "
            f"{sha256(content).hexdigest()[:16]}..., expected {expected[:16]}..."
        )
    assert recorded_files.read(folder, recorded.tags[recorded_files.SHA256_TAG])
    assert recorded_files.read(folder, "0" * 64) == recorded_files.read(folder, "f" * 64) == {}


def test_each_file_and_folder_is_flushed(recorded: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the folder that a version's own is in."""
    folder = model_files.folder_of(recorded.source)
    assert folder
    flushed: list[Path] = []
    monkeypatch.setattr(model_files, "flush", flushed.append)
    model_files.flush_all(folder)
    assert set(flushed) == {*folder.rglob("*"), folder, folder.parent}
