"""The store in a bucket, as several machines meet it: each has a folder of its own and the bucket in common."""

import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from components.errors import ArtifactCorrupt, ConfigError, Unavailable
from pipeline.store import bucket as shared
from pipeline.store.artifact import Artifact
from pipeline.store.bucket import SharedStore
from pipeline.store.local import Store
from pipeline.store.recipe import Recipe, key
from tests.conftest import ROOT, command, quick_run
from tests.pipeline.store.test_local_and_bucket import flip, publish, recipe

FILES = {"sub/model": b"0" * 100, "other": b"1"}


@pytest.fixture
def here(tmp_path: Path, prefix: str) -> SharedStore:
    return SharedStore(tmp_path / "here", prefix)


@pytest.fixture
def there(tmp_path: Path, prefix: str) -> SharedStore:
    return SharedStore(tmp_path / "there", prefix)


def in_bucket(prefix: str) -> list[str]:
    import s3fs

    found: list[str] = s3fs.S3FileSystem(use_listings_cache=False).find(prefix)
    return found


def uploads(prefix: str) -> set[str]:
    """The folders beside the manifests: s3://BUCKET/PREFIX/STAGE/KEY/UPLOAD/..."""
    return {path.split("/")[4] for path in in_bucket(prefix) if not path.endswith("manifest.json")}


def taken(store: Store, made_by: Recipe) -> Artifact:
    artifact = store.get(made_by["stage"], key(made_by))
    assert artifact
    store.verify(artifact)
    return artifact


def test_what_one_machine_made_another_takes(here: SharedStore, there: SharedStore) -> None:
    """The same files, digest and manifest, in a folder of its own."""
    made = publish(here, recipe(), FILES)
    found = taken(there, recipe())
    assert (found.digest, found.files, found.recipe, found.made) == (made.digest, made.files, made.recipe, made.made)
    assert found.path != made.path
    assert {name: (found.path / name).read_bytes() for name in FILES} == FILES


def test_looking_at_an_artifact_fetches_nothing(here: SharedStore, there: SharedStore) -> None:
    """The manifest tells digest, recipe and facts; the files stay where they are."""
    made = publish(here, recipe(), FILES)
    seen = there.get("train", made.key, files=False)
    assert seen
    assert (seen.digest, seen.recipe) == (made.digest, made.recipe)
    assert not seen.path.exists()


def test_a_machine_that_comes_second_takes_what_the_first_one_made(here: SharedStore, there: SharedStore) -> None:
    """Its own bytes, made without knowing, give way."""
    first = publish(here, recipe(), {"a": b"first"})
    assert publish(there, recipe(), {"a": b"second"}).digest == first.digest
    assert (there.path("train", first.key) / "a").read_bytes() == b"first"


def test_machines_that_publish_at_once_agree_on_one(tmp_path: Path, prefix: str) -> None:
    """Four machines, each with bytes of its own for five artifacts, started together: all end with the same five."""
    script = """
import sys, time; from pathlib import Path; from pipeline.store.bucket import SharedStore
from tests.pipeline.store.test_local_and_bucket import publish, recipe
store = SharedStore(Path(sys.argv[3]), sys.argv[4]); store.get("train", "0" * 16)
time.sleep(max(0, float(sys.argv[1]) - time.time()))
for i in range(5):
    artifact = publish(store, recipe(i=i), {"who": sys.argv[2].encode(), "a": b"same"})
    store.verify(artifact); print(artifact.digest)
"""
    start = str(time.time() + 6)
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", script, start, str(n), str(tmp_path / str(n)), prefix],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(4)
    ]
    told = [maker.communicate()[0] for maker in makers]
    assert [maker.returncode for maker in makers] == [0] * 4
    assert len(told[0].split()) == 5
    assert len(set(told)) == 1
    assert len(uploads(prefix)) == 5


def test_a_maker_killed_while_it_uploads_leaves_nothing_that_is_taken(
    tmp_path: Path, prefix: str, here: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 between the first file and the manifest: there is no artifact, the next maker succeeds, and the killed
    one's upload is swept once no live maker can be at it."""
    script = """
import sys; from pathlib import Path; from pipeline.store.bucket import SharedStore
from tests.pipeline.store.test_local_and_bucket import publish, recipe
publish(SharedStore(Path(sys.argv[1]), sys.argv[2]), recipe(), {str(n): bytes(100_000) for n in range(300)})
"""
    maker = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "killed"), prefix], cwd=ROOT)
    while not in_bucket(prefix):
        assert maker.poll() is None
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    assert not [path for path in in_bucket(prefix) if path.endswith("manifest.json")]
    assert here.get("train", key(recipe())) is None
    publish(here, recipe(), FILES)
    assert len(uploads(prefix)) == 2
    assert here.sweep_uploads() == 0
    monkeypatch.setattr(shared, "UPLOAD_DIED", timedelta(0))
    assert here.sweep_uploads() == 1
    assert taken(here, recipe()).files.keys() == FILES.keys()
    restarted = SharedStore(tmp_path / "killed", prefix)
    assert taken(restarted, recipe()).digest == taken(here, recipe()).digest


def test_a_damaged_copy_is_fetched_again(here: SharedStore, there: SharedStore) -> None:
    """A flipped bit on one machine's disk is mended from the bucket, and a lost manifest too."""
    publish(here, recipe(), FILES)
    copy = taken(there, recipe())
    flip(copy.path / "sub" / "model")
    there.verify(copy)
    assert (copy.path / "sub" / "model").read_bytes() == FILES["sub/model"]
    (copy.path / "manifest.json").write_text("{")
    assert taken(there, recipe()).digest == copy.digest


def test_a_file_changed_in_the_bucket_is_told_and_never_taken(
    here: SharedStore, there: SharedStore, prefix: str
) -> None:
    """The sentence names the object; making the stage again replaces it, for every machine."""
    import s3fs

    publish(here, recipe(), FILES)
    [model] = [path for path in in_bucket(prefix) if path.endswith("sub/model")]
    s3fs.S3FileSystem().pipe_file(model, b"1" * 100)
    with pytest.raises(ArtifactCorrupt, match=rf"s3://{model} was changed .*python -m pipeline stage train"):
        there.get("train", key(recipe()))
    assert list(there.root.glob("*/*")) == []
    again = publish(here, recipe(), FILES, replace=True)
    assert taken(there, recipe()).digest == again.digest
    assert len([path for path in in_bucket(prefix) if path.endswith("sub/model")]) == 1


def test_what_was_made_before_there_was_a_bucket_is_shared_when_it_is_taken(
    here: SharedStore, there: SharedStore
) -> None:
    """No artifact has to be made again because PIPELINE_STORE was set."""
    publish(Store(here.root), recipe(), FILES)
    assert there.get("train", key(recipe())) is None
    taken(here, recipe())
    assert taken(there, recipe()).files.keys() == FILES.keys()


def test_what_is_young_may_be_of_another_machine(here: SharedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """`gc` spares what was shared within a week: a run that this machine does not know of may need it."""
    made = publish(here, recipe(), FILES)
    assert here.is_young("train", made.key)
    monkeypatch.setattr(shared, "YOUNG", timedelta(0))
    assert not here.is_young("train", made.key)


@pytest.mark.parametrize("url", ["models", "gs://models", "s3://", "s3://Models", "s3:///prefix", "s3://models//x"])
def test_an_address_that_is_none_is_told(tmp_path: Path, url: str) -> None:
    """With the form that is expected."""
    with pytest.raises(ConfigError, match=rf"PIPELINE_STORE is '{url}'; expected s3://BUCKET"):
        SharedStore(tmp_path, url)


def test_a_bucket_that_is_not_there_is_told(tmp_path: Path, bucket: dict[str, str]) -> None:
    """When it is read, listed or written."""
    store = SharedStore(tmp_path, "s3://nowhere/models")
    for ask in (lambda: store.get("train", "k"), lambda: list(store.list()), lambda: publish(store, recipe(), FILES)):
        with pytest.raises(ConfigError, match="there is no bucket nowhere"):
            ask()


def test_a_server_that_does_not_answer_is_worth_a_retry(
    tmp_path: Path, bucket: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens there: Unavailable, with what to check."""
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        with pytest.raises(Unavailable, match=r"s3://models/x .*did not answer.*AWS_ENDPOINT_URL"):
            SharedStore(tmp_path, "s3://models/x").get("train", "k")
    finally:
        s3fs.S3FileSystem.clear_instance_cache()


def test_without_credentials_the_run_says_what_to_set(tmp_path: Path, bucket: dict[str, str]) -> None:
    """Before anything is made."""
    variables = {**bucket, "PIPELINE_STORE": "s3://models/x", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    done = command(tmp_path, "run", "--source", "digits", **variables)
    assert done.returncode == 2
    assert re.search(r"error: there are no credentials for s3://models/x .*AWS_ACCESS_KEY_ID", done.stderr)
    assert "Traceback" not in done.stderr


def test_a_second_machine_reuses_every_artifact(
    home: Path, tmp_path: Path, bucket: dict[str, str], prefix: str
) -> None:
    """What a run finds made on one machine, a run on an empty one takes from the bucket; it fills its own registry."""
    first = quick_run(home, **bucket, PIPELINE_STORE=prefix)
    second = quick_run(tmp_path / "second", **bucket, PIPELINE_STORE=prefix)
    assert [stage["stage"] for stage in first["stages"] if stage["made"]] == []
    assert [stage["stage"] for stage in second["stages"] if stage["made"]] == ["register", "promote"]
    assert [stage["digest"] for stage in second["stages"]] == [stage["digest"] for stage in first["stages"]]
    shutil.rmtree(tmp_path / "second" / "artifacts")
    third = quick_run(tmp_path / "second", **bucket, PIPELINE_STORE=prefix)
    assert [stage["stage"] for stage in third["stages"] if stage["made"]] == []
