"""Published exports: complete, followed by the link, and healed wherever a process died."""

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest

from components.artifact_files import MODEL_INFO
from components.errors import RegistryUnreachable
from components.registry import exports, model_files
from components.registry.client import CHAMPION, Registry
from components.registry.exports import COPY, KEY_TAG, SHA256_TAG, Exports, is_whole, target
from components.registry.model_version import MODEL_SHA256_TAG, ModelVersion
from components.system.files import sha256_of_file
from tests.components.conftest import new_run
from tests.conftest import ROOT

NAME = "pets 100%, für zu Hause"


class Killed(BaseException):
    """Stands in for the end of the process."""


@dataclass
class Shelf:
    """A registry with published exports, and artifacts of export by the version's number."""

    registry: Registry
    folder: Path
    exports: Exports
    made: dict[str, Path]

    def register(self, number: str, content: str = "model") -> ModelVersion:
        """A version with its logged model, and the artifact of its export."""
        run = new_run(self.registry, self.folder)
        client = self.registry.client
        logged = client.create_logged_model(client.get_run(run).info.experiment_id, name="model", source_run_id=run)
        client.log_model_artifacts(logged.model_id, str(self._described()))
        self.registry.create_model(NAME, "")
        self.registry.create_version(NAME, logged, {MODEL_SHA256_TAG: number * 64}, "")
        self.export(number, f"key-{number}", content)
        return self.version(number)

    def _described(self) -> Path:
        """What else the version consists of."""
        folder = self.folder / "described"
        folder.mkdir(exist_ok=True)
        (folder / "MLmodel").write_text("a model")
        return folder

    def export(self, number: str, key: str, content: str) -> Path:
        """What export wrote for the version *number* as the artifact *key*."""
        artifact = self.folder / "artifacts" / key
        (artifact / "saved_model").mkdir(parents=True)
        files = {"model.tflite": content, "saved_model/saved_model.pb": content * 2}
        for name, text in files.items():
            (artifact / name).write_text(text)
        (artifact / "manifest.json").write_text("of the store")
        listed = {n: {"bytes": len(t), "sha256": sha256_of_file(artifact / n)} for n, t in files.items()}
        (artifact / MODEL_INFO).write_text(json.dumps({"version": number, "files": listed}))
        self.made[number] = artifact
        return artifact

    def version(self, number: str) -> ModelVersion:
        version = self.registry.version(NAME, number)
        assert version is not None
        return version

    def publish(self, number: str) -> None:
        self.exports.publish(self.version(number), self.made[number])

    def promote(self, number: str) -> None:
        self.exports.prepare(self.version(number))
        self.registry.set_alias(NAME, CHAMPION, number)
        self.exports.follow(NAME)

    def run(self, number: str) -> None:
        """What the stage promote does."""
        self.publish(number)
        self.promote(number)

    def place(self, number: str) -> Path:
        return self.exports.folder(self.version(number))

    def copy(self, number: str) -> Path:
        return Path(self.version(number).source.removeprefix("file://")) / COPY

    def champion(self) -> str:
        """Where the link points."""
        return target(self.exports.link(NAME))

    def is_published(self, number: str) -> bool:
        sha256 = self.version(number).tags.get(SHA256_TAG, "")
        return all(is_whole(folder, sha256) for folder in (self.place(number), self.copy(number)))


@pytest.fixture
def shelf(registry: Registry, tmp_path: Path) -> Shelf:
    made: dict[str, Path] = {}
    published = Exports(tmp_path / "exports", registry, lambda version: made.get(version.version))
    return Shelf(registry, tmp_path, published, made)


def test_a_published_version_is_whole_here_and_in_mlflow_and_its_tag_says_so(shelf: Shelf) -> None:
    """Hard links to the artifact's files, without the manifest of the store; the tags name bytes and artifact."""
    shelf.register("1")
    shelf.publish("1")
    tags, place = shelf.version("1").tags, shelf.place("1")
    assert place == shelf.folder / "exports" / "pets 100%25, für zu Hause" / "1"
    assert (tags[SHA256_TAG], tags[KEY_TAG]) == (sha256_of_file(place / MODEL_INFO), "key-1")
    assert {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()} == {
        MODEL_INFO,
        "model.tflite",
        "saved_model/saved_model.pb",
    }
    assert (place / "model.tflite").stat().st_ino == (shelf.made["1"] / "model.tflite").stat().st_ino
    assert shelf.is_published("1")
    assert [path.name for path in place.parent.iterdir()] == ["1"]


def test_to_publish_again_writes_nothing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a run with nothing to do needs no client of MLflow."""
    shelf.register("1")
    shelf.publish("1")
    before = shelf.place("1").stat()
    monkeypatch.setattr(Registry, "log_files", failing(AssertionError("logged again")))
    monkeypatch.setattr(Registry, "set_tag", failing(AssertionError("tagged again")))
    shelf.publish("1")
    shelf.exports.prepare(shelf.version("1"))
    assert shelf.place("1").stat() == before


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("where", "what"),
    [
        (exports, "link_or_copy"),
        (model_files, "flush_all"),
        (Registry, "log_files"),
        (Registry, "set_tag"),
        (Registry, "set_alias"),
        (exports, "_point"),
    ],
)
def test_what_a_killed_process_leaves_is_completed_by_the_next(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, where: object, what: str
) -> None:
    """Whichever step it died before: the folder, MLflow's copy, the tags, the alias, the link."""
    shelf.register("1")
    with monkeypatch.context() as patch:
        patch.setattr(where, what, failing(Killed()))
        with pytest.raises(Killed):
            shelf.run("1")
    assert shelf.champion() == ""
    shelf.run("1")
    assert shelf.is_published("1")
    assert shelf.champion() == "1"


FILLING = """
import sys
from pathlib import Path
from components.registry import exports
with exports._draft(Path(sys.argv[1])) as draft:
    (draft / "fresh").mkdir()
    print(draft, flush=True)
    sys.stdin.readline()
"""


def test_the_draft_of_a_killed_process_is_removed_by_the_next_run(shelf: Shelf) -> None:
    """By both steps, as it may have died in either; one that still lives keeps its draft."""
    shelf.register("1")
    shelf.run("1")
    folder = shelf.place("1").parent
    steps: list[Callable[[], None]] = [lambda: shelf.publish("1"), lambda: shelf.exports.follow(NAME)]
    for step in steps:
        with Popen([sys.executable, "-c", FILLING, folder], stdin=PIPE, stdout=PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout
            draft = Path(process.stdout.readline().strip())
            step()
            assert (draft / "fresh").is_dir()
            process.kill()
        step()
        assert {path.name for path in folder.iterdir()} == {"1", "champion"}


def test_a_process_that_dies_between_the_tags_has_published_nothing_else(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tag of the bytes comes first: they are there by then."""
    shelf.register("1")
    tag = Registry.set_tag

    def first(registry: Registry, name: str, number: str, key: str, value: str) -> None:
        if key == KEY_TAG:
            raise Killed
        tag(registry, name, number, key, value)

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "set_tag", first)
        with pytest.raises(Killed):
            shelf.publish("1")
    assert shelf.is_published("1")
    shelf.publish("1")
    assert shelf.version("1").tags[KEY_TAG] == "key-1"


@pytest.mark.parametrize("damage", ["folder", "file", "truncated", "copy"])
def test_what_is_lost_is_written_again(shelf: Shelf, damage: str) -> None:
    """From the artifact; MLflow's copy too, where this machine can see it."""
    shelf.register("1")
    shelf.publish("1")
    lose(shelf.copy("1") if damage == "copy" else shelf.place("1"), damage)
    assert not shelf.is_published("1")
    shelf.publish("1")
    assert shelf.is_published("1")


def lose(folder: Path, damage: str) -> None:
    match damage:
        case "file":
            (folder / "model.tflite").unlink()
        case "truncated":
            (folder / "model.tflite").unlink()
            (folder / "model.tflite").write_text("mod")
        case _:
            folder.rename(folder.with_name("lost"))


def test_a_version_whose_artifact_is_gone_is_fetched_from_mlflow(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rollback to it has its files: gc may delete both the artifact and the folder."""
    for number in ("1", "2"):
        shelf.register(number)
        shelf.publish(number)
    shelf.promote("2")
    del shelf.made["1"]
    lose(shelf.place("1"), "folder")
    shelf.promote("1")
    assert (shelf.champion(), shelf.is_published("1")) == ("1", True)
    assert "fetching the exports of version 1 from MLflow" in capsys.readouterr().err


def test_a_version_without_any_export_has_no_link(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    """One that an earlier release promoted: a link to another version would be served as the champion."""
    shelf.register("1")
    shelf.register("2")
    del shelf.made["1"]
    shelf.publish("2")
    shelf.promote("2")
    shelf.promote("1")
    assert shelf.champion() == ""
    assert "version 1 has no exports that can be published" in capsys.readouterr().err


def test_two_machines_that_come_to_other_bytes_by_one_recipe_do_not_take_turns(shelf: Shelf) -> None:
    """What was published first stays, and the other machine takes it from MLflow."""
    shelf.register("1", "first")
    shelf.publish("1")
    tags = shelf.version("1").tags
    lose(shelf.place("1"), "folder")
    other = shelf.folder / "other" / "key-1"
    other.mkdir(parents=True)
    (other / MODEL_INFO).write_text(json.dumps({"files": {}}))
    shelf.made["1"] = other
    shelf.publish("1")
    assert (shelf.place("1") / "model.tflite").read_text() == "first"
    assert shelf.version("1").tags == tags


def test_another_export_of_the_same_version_takes_its_place(shelf: Shelf) -> None:
    """Such as one with more formats; the tags follow."""
    shelf.register("1", "few formats")
    shelf.publish("1")
    shelf.export("1", "key-more", "many formats")
    shelf.publish("1")
    assert (shelf.place("1") / "model.tflite").read_text() == "many formats"
    assert shelf.version("1").tags[KEY_TAG] == "key-more"
    assert shelf.is_published("1")


def test_the_link_is_relative_and_follows_the_alias_there_and_back(shelf: Shelf) -> None:
    """A moved or mounted workspace has it still; whatever pointed elsewhere is put right."""
    for number in ("1", "2"):
        shelf.register(number)
        shelf.publish(number)
    for number in ("1", "2", "1"):
        shelf.promote(number)
        assert shelf.champion() == number
        assert (shelf.exports.link(NAME) / MODEL_INFO).is_file()
    shelf.exports.link(NAME).unlink()
    shelf.exports.link(NAME).symlink_to("2")
    shelf.exports.follow(NAME)
    assert shelf.champion() == "1"


def test_a_workspace_that_was_copied_without_its_links_gets_one_again(shelf: Shelf) -> None:
    """`cp -rL` leaves a folder of its own in the place of the link, which would stay what it is for ever."""
    shelf.register("1")
    shelf.run("1")
    shelf.exports.link(NAME).unlink()
    shutil.copytree(shelf.place("1"), shelf.exports.link(NAME))
    shelf.exports.follow(NAME)
    assert shelf.champion() == "1"
    assert {path.name for path in shelf.place("1").parent.iterdir()} == {"1", "champion"}


def test_a_disk_without_hard_links_gets_copies(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or one that the artifacts do not lie on."""
    monkeypatch.setattr(os, "link", failing(OSError(errno.EXDEV, "Invalid cross-device link")))
    shelf.register("1")
    shelf.publish("1")
    assert shelf.is_published("1")
    assert (shelf.place("1") / "model.tflite").stat().st_nlink == 1


def test_a_disk_without_symbolic_links_is_told_of_and_the_run_goes_on(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Readers follow the registry; the link is for people and scripts."""
    monkeypatch.setattr(Path, "symlink_to", failing(OSError(errno.EPERM, "Operation not permitted")))
    shelf.register("1")
    shelf.publish("1")
    shelf.promote("1")
    printed = capsys.readouterr().err
    assert f"warning: {shelf.exports.link(NAME)} cannot be a link to 1 (Operation not permitted)" in printed
    assert str(shelf.place("1")) in printed


def test_a_full_disk_leaves_the_folder_as_it_was(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half-written is renamed into place, and nothing is left beside it."""
    shelf.register("1", "before")
    shelf.publish("1")
    shelf.export("1", "key-2", "after")
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, "link", failing(OSError(errno.EXDEV, "Invalid cross-device link")))
    monkeypatch.setattr(shutil, "copyfile", failing(full))
    with pytest.raises(OSError, match="No space left"):
        shelf.publish("1")
    assert shelf.is_published("1")
    assert [path.name for path in shelf.place("1").parent.iterdir()] == ["1"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), RegistryUnreachable("away")])
def test_a_rollback_does_not_wait_for_a_disk_or_a_store(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    """The alias moves, no link leads to another version, and the next command completes it."""
    for number in ("1", "2"):
        shelf.register(number)
        shelf.run(number)
    del shelf.made["1"]
    lose(shelf.place("1"), "folder")
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "fetch_files", failing(error))
        shelf.promote("1")
    assert shelf.champion() == ""
    assert f"warning: the exports of version 1 cannot be published: {error}" in capsys.readouterr().err
    shelf.exports.follow(NAME)
    assert (shelf.champion(), shelf.is_published("1")) == ("1", True)


@pytest.mark.parametrize("is_absolute", [True, False])
def test_no_file_is_fetched_to_another_place(
    shelf: Shelf, is_absolute: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever writes to the registry writes nowhere else, and nothing is tried: the copy counts as none."""
    shelf.register("1")
    shelf.publish("1")
    elsewhere = shelf.place("1").with_name("elsewhere")
    elsewhere.write_text("hello")
    name = str(elsewhere) if is_absolute else "../../elsewhere"  # from the draft of what is fetched
    listed = {name: {"bytes": 5, "sha256": sha256_of_file(elsewhere)}}
    (shelf.copy("1") / MODEL_INFO).write_text(json.dumps({"files": listed}))
    shelf.registry.set_tag(NAME, "1", SHA256_TAG, sha256_of_file(shelf.copy("1") / MODEL_INFO))
    del shelf.made["1"]
    lose(shelf.place("1"), "folder")
    shelf.promote("1")
    assert not shelf.place("1").exists()
    assert "cannot be published" not in capsys.readouterr().err


def test_a_copy_that_was_changed_in_mlflow_is_not_taken(shelf: Shelf) -> None:
    """Its bytes are read, not only counted."""
    shelf.register("1")
    shelf.publish("1")
    (shelf.copy("1") / "model.tflite").write_text("mOdel")
    del shelf.made["1"]
    lose(shelf.place("1"), "folder")
    shelf.promote("1")
    assert not shelf.place("1").exists()
