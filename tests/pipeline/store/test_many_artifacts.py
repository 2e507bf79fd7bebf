"""Thousands of artifacts: what was read of one that did not change is not read again."""

import os
from pathlib import Path

import pytest

from pipeline import known_files
from pipeline.home import Home
from pipeline.store.artifact import MANIFEST, Artifact, read_manifest
from pipeline.store.local import Store
from tests.pipeline.store.test_local_and_bucket import opened, publish, recipe


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two artifacts, whose manifests have been read before."""
    monkeypatch.setattr(known_files, "SETTLED_NS", 0)
    store = Store(tmp_path / "artifacts")
    for number in range(2):
        publish(store, recipe(number=number), {"a": b"1" * 9})
    store.briefs()
    return store


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Each manifest that is parsed."""
    parsed: list[bytes] = []

    def counting(content: bytes) -> object:
        parsed.append(content)
        return read_manifest(content)

    monkeypatch.setattr("pipeline.store.local.read_manifest", counting)
    return parsed


def artifact(store: Store) -> Artifact:
    stage, key = next(iter(store.list()))
    found = store.get(stage, key)
    assert found
    return found


def test_only_new_manifests_are_parsed(store: Store, read: list[bytes]) -> None:
    """What the others say is remembered, and forgotten once they are deleted."""
    before = store.briefs()
    assert read == []
    new = publish(store, recipe(number=2), {"a": b"2"})
    read.clear()
    briefs = store.briefs()
    assert len(read) == 1
    assert briefs == {**before, ("train", new.key): briefs["train", new.key]}
    assert briefs["train", new.key].digest == new.digest
    store.delete("train", new.key)
    assert store.briefs() == before


def test_a_manifest_that_changed_in_place_is_parsed_again(store: Store) -> None:
    """With the same size and its time restored: a damaged artifact is not taken for what it was."""
    path = artifact(store).path / MANIFEST
    status, text = path.stat(), path.read_text()
    path.write_text(text.replace('"digest": "', '"digest": "0', 1).replace('0",', '",', 1)[: len(text)])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert len(store.briefs()) == 1


def test_a_store_in_a_bucket_says_the_same(tmp_path: Path, prefix: str) -> None:
    """On a machine that has no copy, too."""
    here, there = opened(str(tmp_path / "here"), prefix), opened(str(tmp_path / "there"), prefix)
    made = publish(here, recipe(), {"a": b"1"})
    briefs = there.briefs()
    assert briefs == here.briefs()
    assert briefs["train", made.key].digest == made.digest
    assert there.glance("train", made.key, briefs["train", made.key], tmp_path / "cache")


def deleted(file: Path) -> None:
    file.unlink()


def linked(file: Path) -> None:
    file.symlink_to(file.rename(file.parent.parent / "elsewhere"))


def added(file: Path) -> None:
    file.with_name("b").touch()


def truncated(file: Path) -> None:
    file.write_bytes(b"1")


@pytest.mark.parametrize("happened", [deleted, linked, added, truncated])
def test_a_glance_sees_what_names_kinds_and_times_show(store: Store, happened: object, tmp_path: Path) -> None:
    """A file that is gone, one that was added, one that is a link now, one that was written after the manifest."""
    made = artifact(store)
    brief = store.briefs()[made.stage, made.key]
    assert store.glance(made.stage, made.key, brief, tmp_path)
    assert callable(happened)
    happened(made.path / "a")
    assert not store.glance(made.stage, made.key, brief, tmp_path)


def test_a_glance_sees_that_a_file_changed_since_it_was_hashed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a run has looked at it before: the size may be the same."""
    monkeypatch.setattr("components.system.stat_cache.SETTLED_NS", 0)
    made = artifact(store)
    brief = store.briefs()[made.stage, made.key]
    store.check(made, tmp_path)
    assert store.glance(made.stage, made.key, brief, tmp_path)
    (made.path / "a").write_bytes(b"2" * 9)
    os.utime(made.path / "a", (0, 0))
    assert not store.glance(made.stage, made.key, brief, tmp_path)


def test_many_artifacts_are_deleted_unless_they_are_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches, each under the gate once; what another process leases stays whole."""
    monkeypatch.setattr(Store, "withdrawn_at_once", 2)
    store = Home(tmp_path).store
    made = [publish(store, recipe(number=number), {"a": b"1"}) for number in range(5)]
    items = [("train", artifact.key) for artifact in made]
    monkeypatch.setattr("pipeline.store.leases.Leases.others", lambda _: {items[2]})
    assert sorted(store.delete_all(items)) == sorted({*items} - {items[2]})
    assert [*store.list()] == [items[2]]
    assert not [*store.root.glob("*/.draft-*")]
