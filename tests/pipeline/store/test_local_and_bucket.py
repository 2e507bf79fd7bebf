"""The store: an artifact that exists is complete and never changes; all damage is detected.

What any store promises is tested with each: the local one, and the one in a bucket (a real server that speaks S3).
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.errors import ArtifactCorrupt, StorageFailed
from pipeline.store.artifact import MANIFEST, Artifact, digest_of, files_of, hash_files
from pipeline.store.bucket import SharedStore
from pipeline.store.disk_errors import storage_errors
from pipeline.store.leases import DAYS_TO_DIE
from pipeline.store.local import DRAFT, SMALL, Store
from pipeline.store.recipe import Recipe, key
from tests.support.small_disk import disk

ROOT = Path(__file__).parents[3]
NAMES = st.text("abcxyz.-_", min_size=1, max_size=8).filter(lambda name: name.strip(".") and name != MANIFEST)
FILES = st.dictionaries(NAMES, st.binary(max_size=50), max_size=4)


def recipe(stage: str = "train", **params: object) -> Recipe:
    return {"stage": stage, "code": {}, "params": params, "inputs": {}, "runtime": {}}


def publish(
    store: Store,
    made_by: Recipe,
    files: dict[str, bytes],
    *,
    facts: dict[str, object] | None = None,
    replace: bool = False,
) -> Artifact:
    with store.draft(made_by["stage"], key(made_by)) as draft:
        for name, content in files.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_bytes(content)
        return store.publish(draft, made_by, facts or {}, {}, replace=replace)


def drafts(store: Store) -> list[Path]:
    return list(store.root.glob("*/.draft-*"))


def opened(root: str, url: str) -> Store:
    """A store as the processes that the tests start open it."""
    return SharedStore(Path(root), url) if url else Store(Path(root))


def expression(store: Store) -> str:
    """The expression with which another process opens *store*."""
    return f"opened({str(store.root)!r}, {getattr(store, 'url', '')!r})"


@pytest.fixture
def local(tmp_path: Path) -> Store:
    return Store(tmp_path / "artifacts")


@pytest.fixture(params=["local", "served"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return Store(tmp_path / "artifacts")
    return SharedStore(tmp_path / "artifacts", request.getfixturevalue("prefix"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES, st.integers())
def test_an_artifact_is_read_back_with_the_digest_of_its_bytes(
    local: Store, files: dict[str, bytes], number: int
) -> None:
    """Any files, any settings: the same bytes come back, whole and verified, and no draft stays behind."""
    assert_read_back(local, files, number)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(FILES, st.integers())
def test_an_artifact_in_a_bucket_is_read_back_too(
    tmp_path: Path, prefix: str, files: dict[str, bytes], number: int
) -> None:
    """The same of the store in a bucket, by fewer examples: each costs a dozen requests."""
    assert_read_back(SharedStore(tmp_path / "artifacts", prefix), files, number)


def assert_read_back(store: Store, files: dict[str, bytes], number: int) -> None:
    made_by = recipe(number=number, files=sorted(files), content=[c.hex() for c in files.values()])
    artifact = publish(store, made_by, files)
    found = store.get("train", key(made_by))
    assert found == artifact
    store.verify(artifact)
    assert {name: (artifact.path / name).read_bytes() for name in files} == files
    assert artifact.digest == digest_of(artifact.files)
    assert not drafts(store)


@given(FILES, FILES)
def test_two_sets_of_files_share_a_digest_only_if_they_are_equal(one: dict[str, bytes], two: dict[str, bytes]) -> None:
    """The digest sees names and bytes."""

    def digest(files: dict[str, bytes]) -> str:
        return digest_of({name: content.hex() for name, content in files.items()})

    assert (digest(one) == digest(two)) == (one == two)


def test_an_unknown_key_is_none(store: Store) -> None:
    """It is not an error."""
    assert store.get("train", "0123456789abcdef") is None
    assert list(store.list()) == []


def test_the_first_of_two_processes_wins_and_both_succeed(store: Store) -> None:
    """Published once, an artifact keeps its bytes; the second process gets the first one's."""
    first = publish(store, recipe(), {"a": b"first"})
    second = publish(store, recipe(), {"a": b"second"})
    assert second == first
    assert (first.path / "a").read_bytes() == b"first"
    assert list(store.list()) == [("train", first.key)]


def test_a_replacement_removes_the_old_files(store: Store) -> None:
    """Healing puts new bytes under the same key and leaves nothing of the old ones."""
    publish(store, recipe(), {"a": b"damaged", "b": b"too"})
    artifact = publish(store, recipe(), {"a": b"good"}, replace=True)
    store.verify(artifact)
    assert sorted(p.name for p in artifact.path.iterdir()) == ["a", MANIFEST]
    assert not drafts(store)


def test_a_stage_that_fails_publishes_nothing(store: Store) -> None:
    """An exception inside the draft leaves neither an artifact nor a draft."""
    with contextlib.suppress(RuntimeError), store.draft("train", "k") as draft:
        (draft / "half").write_bytes(b"1")
        raise RuntimeError
    assert list(store.list()) == []
    assert not drafts(store)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def as_link(path: Path) -> None:
    """Put a symbolic link to the same bytes in the place of *path*."""
    elsewhere = path.parents[3] / f"elsewhere-{path.name}"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "was changed": lambda folder: flip(folder / "sub" / "model"),
    "was deleted": lambda folder: (folder / "sub" / "model").unlink(),
    "was added": lambda folder: (folder / "sub" / "new").write_bytes(b"1"),
    "is no regular file": lambda folder: as_link(folder / "sub" / "model"),
    "was added after": lambda folder: (folder / "sub" / "linked").symlink_to(folder.parent),
}


@pytest.mark.parametrize("happened", DAMAGES)
def test_a_damaged_artifact_is_not_used(store: Store, happened: str) -> None:
    """After verify, an artifact is as published: damage was raised, or repaired."""
    artifact = publish(store, recipe(), {"sub/model": b"0" * 100, "other": b"1"})
    DAMAGES[happened](artifact.path)
    with contextlib.suppress(ArtifactCorrupt):
        store.verify(artifact)
        assert hash_files(artifact.path) == artifact.files
        assert not any(path.is_symlink() for path in artifact.path.rglob("*"))


@pytest.mark.parametrize("happened", DAMAGES)
def test_damage_is_detected_and_the_file_named(local: Store, happened: str, tmp_path: Path) -> None:
    """Each is reported with the path and the command that repairs it, by the quick check too."""
    store = local
    artifact = publish(store, recipe(), {"sub/model": b"0" * 100, "other": b"1"})
    store.check(artifact, tmp_path / "cache")
    DAMAGES[happened](artifact.path)
    sentence = rf"sub/\w+ {happened}.*python -m pipeline stage train"
    with pytest.raises(ArtifactCorrupt, match=sentence):
        store.verify(artifact)
    with pytest.raises(ArtifactCorrupt, match=sentence):
        store.check(artifact, tmp_path / "cache")


def test_what_file_managers_leave_is_no_damage(local: Store, tmp_path: Path) -> None:
    """Somebody who opens the folder of a model in a file manager does not have it trained again."""
    artifact = publish(local, recipe(), {"model": b"1"})
    for name in (".DS_Store", "._model", "Thumbs.db", ".nfs00000001"):
        (artifact.path / name).write_bytes(b"1")
    local.verify(artifact)
    local.check(artifact, tmp_path)


@pytest.mark.parametrize(
    ("wanted", "size", "older"),
    [(True, 100, True), (True, SMALL, True), (True, SMALL + 1, False), (False, SMALL + 1, True)],
    ids=["very small and dated back", "small and dated back", "large", "large and unchanged for stat"],
)
def test_the_quick_check_reads_what_is_small_and_what_changed(
    local: Store, wanted: bool, size: int, older: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small file is always read; a large one only when its status changed. The full check reads every byte."""
    artifact = publish(local, recipe(), {"model": b"0" * size})
    file, later = artifact.path / "model", time.time_ns() + 3600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)  # written long ago
    status = file.stat()
    local.check(artifact, tmp_path)
    flip(file)
    if older:  # as a disk that loses a bit does: no time changes
        same = lambda path: [(name, status) for name, _ in files_of(path)]  # noqa: E731
        monkeypatch.setattr("pipeline.store.local.files_of", same)
    with pytest.raises(ArtifactCorrupt) if wanted else contextlib.nullcontext():
        local.check(artifact, tmp_path)
    with pytest.raises(ArtifactCorrupt):
        local.verify(artifact)


def test_a_damaged_cache_of_the_quick_check_costs_time_alone(local: Store, tmp_path: Path) -> None:
    """Whatever stands in it, an artifact that is whole passes."""
    artifact = publish(local, recipe(), {"model": b"0" * (SMALL + 1)})
    local.check(artifact, tmp_path / "cache")
    cache = tmp_path / "cache" / "artifacts" / f"train-{artifact.key}.json"
    status = (artifact.path / "model").stat()
    lie = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, "f" * 64]
    for content in (b"", b"[]", b"\xff", b"[" * 100_000, json.dumps({"model": lie}).encode()):
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_bytes(content)
        local.check(artifact, tmp_path / "cache")


def test_changed_facts_are_detected(local: Store) -> None:
    """The latency and size that a gate judges lie in the manifest, and its checksum covers them."""
    artifact = publish(local, recipe(), {"model": b"1"}, facts={"bytes": 1000})
    manifest = artifact.path / MANIFEST
    manifest.write_text(manifest.read_text().replace("1000", "1001"))
    with pytest.raises(ArtifactCorrupt, match=r"manifest\.json was changed"):
        local.get("train", artifact.key)


def test_a_manifest_of_an_earlier_version_has_no_checksum(local: Store) -> None:
    """The champion of an old workspace is read."""
    artifact = publish(local, recipe(), {"model": b"1"})
    content = json.loads((artifact.path / MANIFEST).read_bytes())
    del content["checksum"]
    (artifact.path / MANIFEST).write_text(json.dumps(content))
    assert local.get("train", artifact.key) == artifact


def test_a_truncated_file_is_detected(local: Store) -> None:
    """Half a file is not the file."""
    artifact = publish(local, recipe(), {"model": b"0" * 100})
    os.truncate(artifact.path / "model", 50)
    with pytest.raises(ArtifactCorrupt, match="model was changed"):
        local.verify(artifact)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"recipe": {}}'])
def test_a_damaged_manifest_is_detected_when_it_is_read(local: Store, content: bytes) -> None:
    """Half a manifest is not taken for an artifact."""
    artifact = publish(local, recipe(), {"a": b"1"})
    (artifact.path / MANIFEST).write_bytes(content)
    with pytest.raises(ArtifactCorrupt, match=r"manifest\.json was changed"):
        local.get("train", artifact.key)


def test_a_manifest_with_another_recipe_is_detected(local: Store) -> None:
    """An artifact under a name that its recipe does not hash to is not that artifact."""
    artifact = publish(local, recipe(epochs=1), {"a": b"1"})
    text = (artifact.path / MANIFEST).read_text()
    (artifact.path / MANIFEST).write_text(text.replace('"epochs": 1', '"epochs": 2'))
    with pytest.raises(ArtifactCorrupt, match=r"manifest\.json was changed"):
        local.get("train", artifact.key)


def test_the_draft_of_a_killed_process_is_swept_and_that_of_a_live_one_is_not(store: Store) -> None:
    """kill -9 frees the lock on the draft: the next sweep removes it, while the draft of a live process stays."""
    script = f"""
import time; from tests.pipeline.store.test_local_and_bucket import opened
with {expression(store)}.draft("train", "k") as draft:
    (draft / "half").write_bytes(b"1"); print("ready", flush=True); time.sleep(60)
"""
    maker = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    assert maker.stdout
    maker.stdout.readline()
    assert store.sweep() == 0
    assert len(drafts(store)) == 1
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    maker.stdout.close()
    assert store.sweep() == 1
    assert not drafts(store)


def test_the_draft_of_another_machine_is_left_to_it_for_a_week(store: Store) -> None:
    """Its lock may not be visible here, on a file system that several machines share."""
    draft = store.root / "train" / f"{DRAFT}k-another-x1"
    draft.mkdir(parents=True)
    assert store.sweep() == 0
    week_ago = time.time() - DAYS_TO_DIE * 86_400 - 1
    os.utime(draft, (week_ago, week_ago))
    assert store.sweep() == 1
    assert not drafts(store)


def test_processes_that_publish_at_once_leave_one_whole_artifact(store: Store) -> None:
    """Eight processes publish the same artifacts at once: one rename wins, all of them get its result."""
    script = f"""
import sys, time; from tests.pipeline.store.test_local_and_bucket import opened, publish, recipe
store = {expression(store)}; time.sleep(max(0, float(sys.argv[1]) - time.time()))
for i in range(20):
    print(publish(store, recipe(i=i), {{"a": b"same", "who": sys.argv[2].encode()}}).digest)
"""
    start = str(time.time() + 2)
    makers = [
        subprocess.Popen([sys.executable, "-c", script, start, str(n)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for n in range(8)
    ]
    digests = {maker.communicate()[0] for maker in makers}
    assert [maker.returncode for maker in makers] == [0] * 8
    assert len(digests) == 1
    assert len(list(store.list())) == 20
    for stage, name in store.list():
        artifact = store.get(stage, name)
        assert artifact
        store.verify(artifact)


def test_deleting_removes_the_artifact_whole(store: Store) -> None:
    """Nothing of it is left, and deleting it twice is no error."""
    artifact = publish(store, recipe(), {"a": b"1"})
    store.delete("train", artifact.key)
    store.delete("train", artifact.key)
    assert list(store.list()) == []
    assert not drafts(store)


def test_a_folder_that_cannot_be_written_is_reported_in_a_sentence(tmp_path: Path) -> None:
    """A file where the folder should be: the sentence names it and the way out."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageFailed, match=r"cannot use .*file.*PIPELINE_HOME"),
        Store(tmp_path / "file" / "artifacts").draft("train", "k"),
    ):
        pass


def test_an_array_that_does_not_fit_is_a_full_disk(tmp_path: Path) -> None:
    """NumPy reports a short write without an errno."""
    with (
        disk(tmp_path / "small", "16k") as small,
        pytest.raises(StorageFailed, match="is full"),
        storage_errors(tmp_path),
    ):
        np.save(small / "images.npy", np.zeros(100_000, np.uint8))


def test_an_intact_artifact_that_is_made_again_keeps_its_files(store: Store) -> None:
    """`--force` makes the same bytes and measures again: the facts are new, and readers lose no file."""
    before = publish(store, recipe(), {"a": b"1"})
    file = before.path / "a"
    inode = file.stat().st_ino
    with store.draft("train", before.key) as draft:
        (draft / "a").write_bytes(b"1")
        again = store.publish(draft, recipe(), {"latency": 2}, {}, replace=True)
    assert (again.facts, file.stat().st_ino) == ({"latency": 2}, inode)
    assert verified(store).facts == {"latency": 2}
    assert not drafts(store)


def test_a_file_in_the_place_of_an_artifact_is_replaced(local: Store) -> None:
    """And so is a link, whose target stays."""
    made = publish(local, recipe(), {"a": b"1"})
    elsewhere = made.path.rename(local.root.parent / "elsewhere")
    made.path.symlink_to(elsewhere)
    assert verified(local).digest == made.digest
    assert local.delete("train", made.key)
    assert (elsewhere / "a").exists()
    made.path.write_text("")
    assert publish(local, recipe(), {"a": b"1"}, replace=True).digest == made.digest
    assert verified(local).digest == made.digest
    assert not drafts(local)


def test_only_artifacts_are_listed(local: Store) -> None:
    """Not what somebody keeps beside them, which `gc` would delete."""
    made = publish(local, recipe(), {"a": b"1"})
    for name in ("train/backup", f"lost+found/{made.key}", "notes/today"):
        (local.root / name).mkdir(parents=True)
    assert list(local.list()) == [("train", made.key)]


def verified(store: Store) -> Artifact:
    artifact = store.get("train", key(recipe()))
    assert artifact
    store.verify(artifact)
    return artifact


def test_a_draft_that_is_swept_before_it_is_locked_is_made_again(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that begins sweeps drafts without a lock, and one may be a moment old."""
    mkdtemp = tempfile.mkdtemp
    swept: list[int] = []

    def made_and_swept(**arguments: Any) -> str:
        folder: str = mkdtemp(**arguments)
        if not swept:
            swept.append(local.sweep())
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", made_and_swept)
    assert publish(local, recipe(), {"a": b"1"}).files.keys() == {"a"}
    assert swept == [1]
