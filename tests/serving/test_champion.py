"""What is served when the alias moves: a verified version, or the one before and the reason."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components.inference.published import Published, of_version
from components.registry.model_version import ModelVersion
from serving.champion import Champion
from tests.support.served_versions import SHAPE, Versions, tflite


def champion_of(versions: Versions, name: str | None = None) -> Champion:
    def locate(version: ModelVersion) -> Published:
        return of_version(version, versions.home / "exports")

    found = Champion(versions.registry, versions.name if name is None else name, locate, lambda *_: None)
    found.look()
    return found


def rewritten(file: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_bytes(content)


def other_canaries(folder: Path) -> None:
    """Files that fit together, and a model that does not answer as it did when it was measured."""
    with np.load(folder / "canaries.npz") as canaries:
        np.savez(folder / "canaries.npz", images=canaries["images"], probabilities=canaries["probabilities"] + 0.01)
    list_again(folder, "canaries.npz")


def list_again(folder: Path, file: str) -> None:
    info = json.loads((folder / "model_info.json").read_text())
    data = (folder / file).read_bytes()
    info["files"][file] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "model_info.json").write_text(json.dumps(info, indent=2, sort_keys=True) + "\n")


def no_model(folder: Path) -> None:
    (folder / "model.tflite").write_bytes(b"no model at all")
    list_again(folder, "model.tflite")


def fifo(folder: Path) -> None:
    (folder / "model.tflite").unlink()
    os.mkfifo(folder / "model.tflite")


BROKEN: dict[str, Callable[[Path], object]] = {
    "another model": rewritten("model.tflite", tflite(9)),
    "half a model": rewritten("model.tflite", tflite(2)[:1000]),
    "an empty model": rewritten("model.tflite", b""),
    "no model": lambda folder: (folder / "model.tflite").unlink(),
    "a FIFO": fifo,
    "no canaries": lambda folder: (folder / "canaries.npz").unlink(),
    "other canaries": rewritten("canaries.npz", b"PK"),
    "another model_info.json": rewritten("model_info.json", b"{}\n"),
    "no model_info.json": lambda folder: (folder / "model_info.json").unlink(),
    "no folder": lambda folder: folder.rename(folder.with_name("gone")),
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN)
def test_a_version_with_broken_files_is_refused(versions: Versions, damage: Callable[[Path], object]) -> None:
    """Whatever is wrong with them; the one in use goes on, and the problem names the file."""
    versions.add(champion=True)
    champion = champion_of(versions)
    damage(versions.folder(versions.add(champion=True)))
    champion.look()
    assert champion.model
    assert champion.model.version == "1"
    assert champion.problem.startswith("version 2 of shapes-classifier is refused: ")
    assert champion.problem.endswith("; version 1 goes on")


@pytest.mark.parametrize("damage", [other_canaries, no_model])
def test_a_version_that_was_exchanged_whole_is_refused(versions: Versions, damage: Callable[[Path], object]) -> None:
    """Although its files fit together: the registry knows another model_info.json."""
    damage(versions.folder(versions.add(champion=True)))
    champion = champion_of(versions)
    assert champion.model is None
    assert "model_info.json was changed" in champion.problem


@pytest.mark.parametrize(
    ("damage", "words"),
    [(other_canaries, "answers its own test images otherwise"), (no_model, "is not a model that LiteRT can run")],
)
def test_a_model_that_does_not_answer_as_measured_is_refused(
    versions: Versions, damage: Callable[[Path], object], words: str
) -> None:
    """Even where the registry knows its files."""
    number = versions.add(champion=True)
    damage(versions.folder(number))
    content = (versions.folder(number) / "model_info.json").read_bytes()
    versions.registry.set_tag(versions.name, number, "export.sha256", hashlib.sha256(content).hexdigest())
    champion = champion_of(versions)
    assert champion.model is None
    assert words in champion.problem


def test_a_version_without_exports_is_refused(versions: Versions) -> None:
    """Something else registered it, or an older pipeline."""
    number = versions.add(champion=True)
    versions.registry.delete_tag(versions.name, number, "export.sha256")
    assert "was registered without its exported files" in champion_of(versions).problem


def test_a_repaired_version_is_served(versions: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused version is tried again after a while, and not at every look."""
    file = versions.folder(versions.add(champion=True)) / "model.tflite"
    content = file.read_bytes()
    file.write_bytes(b"")
    champion = champion_of(versions)
    file.write_bytes(content)
    champion.look()
    assert champion.model is None
    monkeypatch.setattr("serving.champion.RETRY_SECONDS", 0.0)
    champion._retry_at = 0.0
    champion.look()
    assert champion.model
    assert champion.problem == ""


def test_a_champion_that_was_taken_away_stays_in_use(versions: Versions) -> None:
    """Nothing else is there to answer with; the problem is said."""
    versions.add(champion=True)
    champion = champion_of(versions)
    versions.registry.client.delete_registered_model_alias(versions.name, "champion")
    champion.look()
    assert champion.model
    assert champion.problem == "shapes-classifier has no champion in the registry; make one with make pipeline"


def test_without_a_name_the_only_model_is_served(versions: Versions) -> None:
    """With a second one, the setting is asked for."""
    versions.add(champion=True)
    champion = champion_of(versions, name="")
    assert champion.model
    assert champion.name == versions.name
    Versions(versions.home, "other")
    again = champion_of(versions, name="")
    assert again.problem == (
        "the registry has 2 models (other, shapes-classifier); choose one with --set serve.model=other"
    )


def test_a_model_of_another_shape_is_followed(versions: Versions) -> None:
    """A retraining may change the size of the images; each request is checked against the version that answers it."""
    versions.add(champion=True)
    champion = champion_of(versions)
    larger = Versions(versions.home, versions.name, shape=(32, 32, 3), labels=("cat", "dog"))
    larger.add(champion=True)
    champion.look()
    assert champion.model
    assert (champion.model.shape, champion.model.classes) == ((32, 32, 3), ["cat", "dog"])
    assert champion.model.shape != SHAPE
