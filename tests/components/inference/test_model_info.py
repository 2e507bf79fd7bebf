"""model_info.json: read, held to the registry's hash, and its files verified."""

import json
from pathlib import Path

import pytest

from components.artifact_files import MODEL_INFO
from components.errors import ArtifactCorrupt, ArtifactMissing
from components.inference import model_info
from tests.support import published_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    published_model.publish(tmp_path)
    return tmp_path / published_model.NAME / "1"


def test_a_published_model_is_read_and_verified(tmp_path: Path) -> None:
    """What was published is what is read."""
    sha256 = published_model.publish(tmp_path)
    folder = tmp_path / published_model.NAME / "1"
    info = model_info.read(folder, sha256)
    model_info.verify(folder, info, info["files"])
    assert (info["classes"], info["input"]["shape"]) == (["dark", "bright", "never"], [4, 4, 1])


def test_a_file_that_was_changed_is_named(folder: Path) -> None:
    """A byte is enough."""
    info = model_info.read(folder)
    (folder / "model.tflite").write_bytes(b"x" + (folder / "model.tflite").read_bytes()[1:])
    with pytest.raises(ArtifactCorrupt, match=r"model\.tflite was changed: it has sha256 \w{16}\.\.\., expected"):
        model_info.verify(folder, info, ["model.tflite"])
    model_info.verify(folder, info, ["labels.txt"])


def test_a_file_that_is_gone_is_named(folder: Path) -> None:
    """So is one that was never published."""
    info = model_info.read(folder)
    (folder / "labels.txt").unlink()
    with pytest.raises(ArtifactCorrupt, match=r"labels\.txt cannot be read \(No such file or directory\); delete"):
        model_info.verify(folder, info, ["labels.txt"])
    with pytest.raises(ArtifactCorrupt, match=r"other\.txt is no file of version 1 of brightness"):
        model_info.verify(folder, info, ["other.txt"])


def test_another_models_description_is_refused(folder: Path) -> None:
    """The registry's tag says which is meant."""
    with pytest.raises(ArtifactCorrupt, match=r"model_info\.json was changed: it has sha256"):
        model_info.read(folder, "0" * 64)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "Input data was truncated"),
        (b"\xff{}", "JSON is malformed"),
        (b"{}", "missing required field"),
        (b"[" * 100_000, "JSON is malformed|[Rr]ecursion|Expected `object`"),
    ],
)
def test_a_description_of_another_kind_is_refused(folder: Path, content: bytes, problem: str) -> None:
    """A damaged one, and one of a release that knows other fields."""
    (folder / MODEL_INFO).write_bytes(content)
    with pytest.raises(ArtifactCorrupt, match=problem):
        model_info.read(folder)


def test_a_field_that_is_new_is_no_problem(folder: Path) -> None:
    """A later release may add one."""
    content = json.loads((folder / MODEL_INFO).read_text())
    (folder / MODEL_INFO).write_text(json.dumps({**content, "licence": "MIT"}))
    assert model_info.read(folder)["version"] == "1"


def test_the_float32_file_is_run_where_there_are_several() -> None:
    """It computes what was measured on the test images, to the last digit that matters."""
    info = published_model.info()
    info["formats"] = {
        "int8": {"path": "model-int8.tflite", "accuracy": 0.7},
        "saved_model": {"path": "saved_model", "accuracy": 0.75},
        "tflite": {"path": "model.tflite", "accuracy": 0.75},
    }
    assert model_info.litert_file(info) == "model.tflite"
    del info["formats"]["tflite"]
    assert model_info.litert_file(info) == "model-int8.tflite"
    del info["formats"]["int8"]
    with pytest.raises(ArtifactMissing, match="exported as saved_model; expected a format that LiteRT runs"):
        model_info.litert_file(info)
