"""The files of the registered versions: what a run heals, and what `verify` reports."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from components.errors import ArtifactCorrupt, RegistryUnreachable
from components.register import stage
from components.registry import recorded_files
from components.registry.client import Registry
from components.registry.model_files import folder_of
from components.registry.model_version import MODEL_SHA256_TAG, ModelVersion
from pipeline.cli.main import main
from pipeline.home import Home
from pipeline.registered_files import BACKUP, damages, heal
from pipeline.store.recipe import Recipe, key


def publish(home: Home, stage: str, name: str, content: bytes) -> str:
    """Store an artifact of *stage* with one file; its key."""
    recipe: Recipe = {"stage": stage, "code": {}, "params": {}, "inputs": {}, "runtime": {}}
    with home.store.draft(stage, key(recipe)) as out:
        (out / name).write_bytes(content)
        return home.store.publish(out, recipe, {}, {"at": "", "run": "", "seconds": 0.0}).key


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelVersion:
    """The champion, the only version in the registry; its artifacts are in the store, its files are gone."""
    home = Home(tmp_path)
    home.prepare()
    tags = {
        "normalize.key": publish(home, "normalize", "data.json", b"{}"),
        "train.key": publish(home, "train", "model.keras", b"the model"),
        MODEL_SHA256_TAG: hashlib.sha256(b"the model").hexdigest(),
    }
    source = (tmp_path / "mlartifacts" / "models" / "m-1" / "artifacts").as_uri()
    return ModelVersion("m", "1", ("champion",), tags, source=source)


@pytest.fixture
def recorded(version: ModelVersion) -> ModelVersion:
    """The version with its files, and the record of them."""
    folder = folder_of(version.source)
    assert folder
    (folder / "data").mkdir(parents=True)
    for name, content in (("MLmodel", ""), ("provenance.json", "{}"), ("data/model.keras", "the model")):
        (folder / name).write_text(content)
    return replace(version, tags=version.tags | {recorded_files.SHA256_TAG: recorded_files.write(folder, {})})


@pytest.fixture
def set_tags() -> list[tuple[str, ...]]:
    """The tags that were set: model, version, tag, value."""
    return []


@pytest.fixture
def registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_tags: list[tuple[str, ...]]
) -> Callable[..., Registry]:
    """The registry with the given versions of "m"."""

    def hold(*versions: ModelVersion) -> Registry:
        monkeypatch.setattr(Registry, "names", lambda _: ["m"])
        monkeypatch.setattr(Registry, "versions", lambda *_: list(versions))
        monkeypatch.setattr(Registry, "set_tag", lambda _, *tag: set_tags.append(tag))
        return Registry(f"sqlite:///{tmp_path / 'registry.db'}")

    return hold


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str, Path]]:
    """What was written again: the files that it was made from, the version, and the folder."""
    calls: list[tuple[list[str], str, Path]] = []

    def note(normalize: Path, train: Path, version: ModelVersion, folder: Path) -> str:
        files = [(normalize / "data.json").read_text(), (train / "model.keras").read_text()]
        calls.append((files, version.version, folder))
        return "of the record"

    monkeypatch.setattr(stage, "restore", note)
    return calls


def test_a_version_whose_files_are_gone_is_written_again(
    version: ModelVersion,
    registered: Callable[..., Registry],
    restored: list[tuple[list[str], str, Path]],
    set_tags: list[tuple[str, ...]],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The champion's and the challenger's, from the artifacts that their tags name; one without an alias stays."""
    heal(Home(tmp_path), registered(version, replace(version, version="2", aliases=())), "m")
    assert restored == [(["{}", "the model"], "1", folder_of(version.source))]
    assert "m-1/artifacts/MLmodel is missing; writing it again from the store" in capfd.readouterr().err
    assert set_tags == [("m", "1", "files.sha256", "of the record")]
    heal(Home(tmp_path), registered(replace(version, tags=version.tags | {"files.sha256": "of the record"})), "m")
    assert len(set_tags) == 1


def test_a_version_that_the_store_cannot_replace_is_told(
    version: ModelVersion,
    registered: Callable[..., Registry],
    restored: list[tuple[list[str], str, Path]],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Its training is gone, is another one, or its folder is another workspace's: nothing is written there."""
    for other in (
        replace(version, tags=version.tags | {"train.key": "gone"}),
        replace(version, tags=version.tags | {MODEL_SHA256_TAG: "0" * 64}),
        replace(version, tags=version.tags | {MODEL_SHA256_TAG: "f" * 64}),
        replace(version, source="file:///another/workspace/mlartifacts/models/m-1/artifacts"),
    ):
        heal(Home(tmp_path), registered(other), "m")
        said = capfd.readouterr().err
        assert "MLmodel is missing; the store cannot replace it: restore a backup, or delete the version" in said
    (train,) = (tmp_path / "artifacts" / "train").glob("[!.]*/model.keras")
    train.chmod(0o644)
    train.write_bytes(b"a flipped bit")
    heal(Home(tmp_path), registered(version), "m")
    assert "the store cannot replace it" in capfd.readouterr().err
    assert restored == []


@pytest.mark.parametrize("file", ["normalize/*/data.json", "train/*/model.keras"])
def test_a_version_is_not_written_again_from_what_is_damaged(
    version: ModelVersion,
    registered: Callable[..., Registry],
    restored: list[tuple[list[str], str, Path]],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    file: str,
) -> None:
    """A file of its images' statistics that changed, a model that is gone."""
    (path,) = (tmp_path / "artifacts").glob(file)
    path.unlink()
    if file.startswith("normalize"):
        path.write_bytes(b"[]")
    heal(Home(tmp_path), registered(version), "m")
    assert "the store cannot replace it" in capfd.readouterr().err
    assert restored == []


def test_what_only_its_run_knew_is_not_written_again(
    recorded: ModelVersion,
    registered: Callable[..., Registry],
    restored: list[tuple[list[str], str, Path]],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Each run says so; beside other damage, that is repaired."""
    folder = folder_of(recorded.source)
    assert folder
    (folder / "provenance").mkdir()
    (folder / "provenance" / "changes.diff").write_text("")
    digest = recorded_files.write(folder, {})
    recorded = replace(recorded, tags=recorded.tags | {recorded_files.SHA256_TAG: digest})
    for name in ("provenance/changes.diff", "provenance.json"):
        (folder / name).unlink()
    heal(Home(tmp_path), registered(recorded), "m")
    said = capfd.readouterr().err
    assert "provenance.json is missing; restore a backup, or delete the version in MLflow" in said
    assert restored == []
    assert [damage.partition("; ")[2] for _, damage in damages(registered(recorded))] == [BACKUP]
    (folder / "MLmodel").write_text("changed")
    heal(Home(tmp_path), registered(recorded), "m")
    assert [number for _, number, _ in restored] == ["1"]


def test_verify_names_damage_and_what_helps(recorded: ModelVersion, registered: Callable[..., Registry]) -> None:
    """A run heals a version with an alias; another one needs a backup, and an added file has to go."""
    folder = folder_of(recorded.source)
    assert folder
    for name in ("evil.py", "evil2.py"):
        (folder / name).write_text("")
    assert [damage for _, damage in damages(registered(recorded))] == [
        f"version 1 of m in the registry: {folder / 'evil.py'} was added; move it elsewhere"
    ]
    assert [damage for _, damage in damages(registered(recorded), quick=True)] == [""]
    (folder / "MLmodel").write_text("changed")
    versions = registered(recorded, replace(recorded, aliases=()))
    assert [damage.partition("; ")[2] for _, damage in damages(versions)] == [
        "python -m pipeline run writes it again",
        BACKUP,
    ]


def test_verify_reads_the_registered_models(
    version: ModelVersion,
    registered: Callable[..., Registry],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model that MLflow cannot load is damage: named, and exit status 1."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    registered(version, ModelVersion("m", "2"))  # the second is another program's
    assert main(["verify"]) == 1
    out, err = capfd.readouterr()
    assert "version 1 of m in the registry: " in out
    assert err == "note: 1 registered models are older than the record of their files: only model.keras was read\n"
    assert out.endswith("2 artifacts and 1 registered models read, 1 damaged\n")
    assert main(["verify", "--quick"]) == 1
    assert "note:" not in capfd.readouterr().err
    assert main(["verify", "--json"]) == 1
    rows = json.loads(capfd.readouterr().out)
    assert [(row["stage"], row["key"]) for row in rows if row["problem"]] == [("register", "m/1")]


def test_verify_fetches_the_models_of_a_server(
    version: ModelVersion, registered: Callable[..., Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are out of sight: fetched, their sha256 is compared."""
    registry = registered(replace(version, source="mlflow-artifacts:/models/m-1/artifacts"))
    monkeypatch.setattr(Registry, "model_file", lambda *_: None)
    assert [damage for _, damage in damages(registry)] == ["version 1 of m in the registry: its model is missing"]
    monkeypatch.setattr(Registry, "model_file", lambda _, __, folder: folder)
    assert [damage for _, damage in damages(registry)] == [""]

    def changed(*_: object) -> None:
        raise ArtifactCorrupt("the model of version 1 was changed")

    monkeypatch.setattr(Registry, "model_file", changed)
    assert [damage for _, damage in damages(registry)] == ["the model of version 1 was changed"]
    assert [damage for _, damage in damages(registry, quick=True)] == [""]


def test_verify_fetches_all_recorded_files_of_a_server(
    recorded: ModelVersion, registered: Callable[..., Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed and added ones are named without the path of the copy, which is gone by then."""
    folder = folder_of(recorded.source)
    assert folder
    registry = registered(replace(recorded, source="mlflow-artifacts:/models/m-1/artifacts"))
    monkeypatch.setattr(Registry, "fetch_files", lambda *_: folder)
    what = "version 1 of m in the registry: "
    assert [damage for _, damage in damages(registry)] == [""]
    (folder / "evil.py").write_text("")
    said = f"{what}evil.py was added; remove it from the server's artifacts"
    assert [damage for _, damage in damages(registry)] == [said]
    (folder / "MLmodel").unlink()
    assert [damage for _, damage in damages(registry)] == [f"{what}MLmodel is missing; {BACKUP}"]
    monkeypatch.setattr(Registry, "fetch_files", lambda *_: None)
    assert [damage for _, damage in damages(registry)] == [f"{what}its model is missing"]


def test_verify_without_a_registry_verifies_the_store(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An MLflow that is away is no damage, and is reported."""

    def away(_: Registry) -> list[str]:
        raise RegistryUnreachable("MLflow did not answer")

    monkeypatch.setattr(Registry, "names", away)
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    assert main(["verify"]) == 0
    shown = capfd.readouterr()
    assert shown.out == "0 artifacts read, 0 damaged\n"
    assert "the registry is not verified: MLflow did not answer" in shown.err
