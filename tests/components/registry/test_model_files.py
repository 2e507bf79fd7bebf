"""The files of a version: looked at where MLflow keeps them on this machine."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from components.registry import model_files
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
