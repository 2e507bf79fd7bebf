"""What the store on disk does where it is disturbed: each error of the disk, each race, each order of two hashes."""

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.errors import ArtifactCorrupt, Failure, StorageFailed
from pipeline.store import local as module
from pipeline.store.artifact import MANIFEST, Artifact, Brief, digest_of, manifest_text
from pipeline.store.leases import Leases
from pipeline.store.local import DRAFT, SMALL, Store
from pipeline.store.recipe import key
from tests.pipeline.store.test_local_and_bucket import drafts, publish, recipe


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "artifacts")


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_who_reads_files_leases_the_artifact_and_who_reads_manifests_does_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor who looks for one that is not there."""
    artifact = publish(store, recipe(), {"a": b"1"})
    leased: list[tuple[str, str]] = []
    monkeypatch.setattr(Leases, "take", lambda _, stage, key: leased.append((stage, key)))
    assert store.get("train", "0" * 16) is None
    assert store.get("train", artifact.key, files=False) == artifact
    assert store.briefs() == {("train", artifact.key): Brief.of(artifact)}
    assert leased == []
    assert store.get(stage="train", key=artifact.key) == artifact
    assert leased == [("train", artifact.key)]


def damaged_manifest(**changes: object) -> Callable[[Path], object]:
    def change(manifest: Path) -> None:
        content = json.loads(manifest.read_bytes()) | changes
        del content["checksum"]  # as an earlier version wrote it
        content.setdefault("digest", digest_of(content["files"]))
        manifest.write_text(json.dumps(content))

    return change


def as_folder(manifest: Path) -> None:
    manifest.unlink()
    manifest.mkdir()


def as_file(manifest: Path) -> None:
    shutil.rmtree(manifest.parent)
    manifest.parent.write_text("")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, rf"{MANIFEST} was deleted since"),
    "a recipe of another kind": (damaged_manifest(recipe=3), rf"{MANIFEST} was changed since"),
    "a recipe without a stage": (damaged_manifest(recipe={}), rf"{MANIFEST} was changed since"),
    "one more part": (damaged_manifest(more=1), rf"{MANIFEST} was changed since"),
    "a smaller digest": (damaged_manifest(digest="0" * 64), rf"{MANIFEST} was changed since"),
    "a larger digest": (damaged_manifest(digest="f" * 64), rf"{MANIFEST} was changed since"),
    "a name that leads out": (
        damaged_manifest(files={"../a": "0" * 64}, digest=digest_of({"../a": "0" * 64})),
        rf"{MANIFEST} names '../a', which is no file",
    ),
    "a folder": (as_folder, r"[0-9a-f]{16} is no folder any more"),
    "a file in place of the artifact": (as_file, r"[0-9a-f]{16} is no folder any more"),
}


@pytest.mark.parametrize("happened", DAMAGES)
def test_a_damaged_manifest_is_named(store: Store, happened: str) -> None:
    """And what happened to it; it has no brief."""
    artifact = publish(store, recipe(), {"a": b"1"})
    whole = publish(store, recipe(other=1), {"a": b"1"})
    damage, sentence = DAMAGES[happened]
    damage(artifact.path / MANIFEST)
    with pytest.raises(ArtifactCorrupt, match=sentence):
        store.get("train", artifact.key)
    assert store.briefs() == {("train", whole.key): Brief.of(whole)}


def test_the_manifest_of_any_other_recipe_is_detected(store: Store) -> None:
    """Whichever of the two keys is the smaller one."""
    artifact = publish(store, recipe(number=0), {"a": b"1"})
    text = (artifact.path / MANIFEST).read_text()
    content = json.loads(text)
    del content["checksum"]
    keys = set()
    for number in range(1, 9):
        other = recipe(number=number)
        keys.add(key(other) < artifact.key)
        (artifact.path / MANIFEST).write_text(json.dumps(content | {"recipe": other}))
        with pytest.raises(ArtifactCorrupt, match="was changed"):
            store.get("train", artifact.key)
    assert keys == {True, False}


def test_a_file_changed_to_anything_is_detected(store: Store) -> None:
    """Whichever of the two hashes is the smaller one."""
    artifact = publish(store, recipe(), {"a": b"0"})
    for content in (b"1", b"2", b"3", b"4", b"5", b"6"):
        (artifact.path / "a").write_bytes(content)
        with pytest.raises(ArtifactCorrupt, match="a was changed"):
            store.verify(artifact)


def test_an_artifact_that_vanishes_while_it_is_read_is_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process deletes it: it is gone, not damaged."""
    artifact = publish(store, recipe(), {"a": b"1"})

    def vanish(*_: object) -> Artifact:
        shutil.rmtree(artifact.path)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(module, "_artifact", vanish)
    assert store.get("train", artifact.key) is None


@pytest.mark.parametrize(
    ("number", "kind", "sentence"),
    [
        (errno.EIO, ArtifactCorrupt, r"can no longer be read \(broken\); run"),
        (errno.EACCES, StorageFailed, r"cannot be read \(broken\); make the workspace readable"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_what_a_disk_cannot_read_is_damage_and_what_a_user_may_not_is_none(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Failure], sentence: str, named: bool
) -> None:
    """The file is named, where the error names it, else what was to be read."""
    artifact = publish(store, recipe(), {"a": b"1"})
    error = OSError(number, "broken", "/disk/sector") if named else OSError(number, "broken")
    calls: dict[str, Callable[[], object]] = {
        "_artifact": lambda: store.get("train", artifact.key),
        "files_of": lambda: store.verify(artifact),
        "hash_files": lambda: store.verify(artifact),
    }
    for function, call in calls.items():
        place = "/disk/sector" if named else str(artifact.path / MANIFEST if function == "_artifact" else artifact.path)
        with monkeypatch.context() as patch:
            patch.setattr(module, function, raising(error))
            with pytest.raises(kind, match=f"^{place} {sentence}"):
                call()


def test_everything_is_flushed_before_an_artifact_appears(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file and folder of the draft, then the folder that it appears in; every user may read it."""
    flushed: list[tuple[str, bool]] = []

    def note(path: str | Path) -> None:
        name = Path(path).name
        flushed.append(("draft" if name.startswith(DRAFT) else name, any(store.list())))

    monkeypatch.setattr(module, "flush", note)
    artifact = publish(store, recipe(), {"sub/a": b"1", "b": b"2"})
    before = {name for name, is_there in flushed if not is_there}
    assert before == {"draft", MANIFEST, "b", "sub", "a"}
    assert flushed[-1] == ("train", True)
    assert artifact.path.stat().st_mode & 0o777 == 0o755


def test_the_first_facts_stay_unless_they_are_replaced(store: Store) -> None:
    """The same files again: another run measured other facts."""
    made_by = recipe()
    publish(store, made_by, {"a": b"1"}, facts={"latency": 1})
    assert publish(store, made_by, {"a": b"1"}, facts={"latency": 2}).facts == {"latency": 1}
    with store.draft(made_by["stage"], key(made_by)) as draft:
        (draft / "a").write_bytes(b"1")
        again = store.publish(draft=draft, recipe=made_by, facts={"latency": 3}, made={}, replace=True)
    assert again.facts == {"latency": 3}
    with store.draft(made_by["stage"], key(made_by)) as draft:
        (draft / "a").write_bytes(b"1")
        assert store.publish(draft, made_by, {"latency": 4}, {}).facts == {"latency": 3}


def test_a_replacement_takes_the_place_of_any_other_files(store: Store) -> None:
    """Whichever of the two digests is the smaller one."""
    for content in (b"1", b"2", b"3", b"2", b"1"):
        artifact = publish(store, recipe(), {"a": content}, replace=True)
        assert (artifact.path / "a").read_bytes() == content
        store.verify(artifact)


def test_a_draft_that_a_sweep_has_locked_is_left_to_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The draft is another one: the sweep is about to remove the first."""
    mkdtemp, held = tempfile.mkdtemp, list[int]()

    def made_and_held(**arguments: Any) -> str:
        folder: str = mkdtemp(**arguments)
        if not held:
            held.append(os.open(folder, os.O_RDONLY))
            fcntl.flock(held[0], fcntl.LOCK_EX)
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", made_and_held)
    assert publish(store, recipe(), {"a": b"1"}).files.keys() == {"a"}
    assert len(drafts(store)) == 1
    os.close(held[0])
    assert store.sweep() == 1


def test_what_two_processes_remove_is_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a draft or a link that another sweep removes meanwhile; any other error is raised."""
    rmtree = shutil.rmtree

    def twice(path: Path, **options: Any) -> None:
        rmtree(path)
        rmtree(path, **options)

    artifact = publish(store, recipe(), {"a": b"1"})
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", twice)
        assert store.delete("train", artifact.key)
    module._discard(store.root / "gone")
    assert not module._sweep(store.root / "gone")
    artifact = publish(store, recipe(), {"a": b"1"})
    monkeypatch.setattr(module, "_discard", raising(PermissionError("not yours")))
    with pytest.raises(PermissionError, match="not yours"):
        store.delete("train", artifact.key)


def test_only_folders_are_artifacts(store: Store, tmp_path: Path) -> None:
    """No file with the name of one; a store that is a file, or is not there yet, has none."""
    artifact = publish(store, recipe(), {"a": b"1"})
    (store.root / "train" / ("0" * 16)).write_text("")
    assert list(store.list()) == [("train", artifact.key)]
    (tmp_path / "file").write_text("")
    assert list(Store(tmp_path / "file").list()) == list(Store(tmp_path / "gone").list()) == []


def test_a_store_on_disk_has_no_young_artifacts_and_no_uploads(store: Store) -> None:
    """Every run that may need an artifact is known here."""
    artifact = publish(store, recipe(), {"a": b"1"})
    assert store.is_young("train", artifact.key) is False
    assert store.sweep_uploads() == 0


def test_a_glance_compares_times_with_those_of_the_manifest(store: Store, tmp_path: Path) -> None:
    """What is as old as the manifest, or older, is as it was published; what is younger, or added, is looked at."""
    artifact = publish(store, recipe(), {"a": b"1"})
    published = (artifact.path / MANIFEST).stat().st_mtime_ns

    def glanced() -> bool:
        return store.glance("train", artifact.key, Brief.of(artifact), tmp_path / "cache")

    for later, unsuspicious in ((-(10**9), True), (0, True), (10**9, False)):
        os.utime(artifact.path / "a", ns=(published + later, published + later))
        assert glanced() is unsuspicious
    os.utime(artifact.path / "a", ns=(published, published))
    (artifact.path / "b").write_text("")
    os.utime(artifact.path / "b", ns=(0, 0))
    assert not glanced()
    shutil.rmtree(artifact.path)
    assert not glanced()


def test_a_small_file_has_up_to_65536_bytes() -> None:
    """It is read by each quick check: the settings of a model, the metrics that a gate judges."""
    assert SMALL == 65_536


def test_a_manifest_is_text_for_people(store: Store) -> None:
    """Sorted by name, a part a line, and with no NaN, which is no JSON."""
    artifact = publish(store, recipe(), {"b": b"1", "a": b"2"})
    text = (artifact.path / MANIFEST).read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
    manifest: Any = {"recipe": recipe(), "files": {}, "digest": "", "facts": {"latency": float("nan")}, "made": {}}
    with pytest.raises(ValueError, match="JSON compliant"):
        manifest_text(manifest)
