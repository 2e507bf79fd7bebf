"""The store in a bucket, used by several machines: each has its own folder, and the bucket is shared."""

import contextlib
import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.errors import ArtifactCorrupt, ConfigError, Unavailable
from pipeline import doctor
from pipeline.home import Home
from pipeline.store import bucket as shared
from pipeline.store.artifact import Artifact, digest_of
from pipeline.store.bucket import SharedStore
from pipeline.store.local import Store
from pipeline.store.recipe import Recipe, key
from tests.conftest import ROOT, command, quick_run
from tests.pipeline.store.test_local_and_bucket import flip, publish, recipe
from tests.support.s3_server import new_connections

FILES = {"sub/model": b"0" * 100, "other": b"1"}


@pytest.fixture
def here(tmp_path: Path, prefix: str) -> SharedStore:
    return SharedStore(tmp_path / "here", prefix)


@pytest.fixture
def there(tmp_path: Path, prefix: str) -> SharedStore:
    return SharedStore(tmp_path / "there", prefix)


def in_bucket(prefix: str) -> list[str]:
    """The objects of artifacts: BUCKET/PREFIX/STAGE/KEY/... (s3fs may list a folder that comes to be meanwhile)."""
    import s3fs

    found: list[str] = s3fs.S3FileSystem(use_listings_cache=False).find(prefix)
    return [path for path in found if path.count("/") > 3]


def uploads(prefix: str) -> set[str]:
    """The folders beside the manifests: s3://BUCKET/PREFIX/STAGE/KEY/UPLOAD/..."""
    return {path.split("/")[4] for path in in_bucket(prefix) if not path.endswith("manifest.json")}


def verified(store: Store, made_by: Recipe) -> Artifact:
    artifact = store.get(made_by["stage"], key(made_by))
    assert artifact
    store.verify(artifact)
    return artifact


def test_an_artifact_of_one_machine_is_available_on_another(here: SharedStore, there: SharedStore) -> None:
    """The same files, digest and manifest, in another folder."""
    made = publish(here, recipe(), FILES)
    found = verified(there, recipe())
    assert (found.digest, found.files, found.recipe, found.made) == (made.digest, made.files, made.recipe, made.made)
    assert found.path != made.path
    assert {name: (found.path / name).read_bytes() for name in FILES} == FILES


@pytest.fixture
def forgetful(tmp_path: Path, bucket: dict[str, str]) -> SharedStore:
    """A store on a server that ignores If-None-Match."""
    import s3fs

    with contextlib.suppress(FileExistsError):  # of another test
        s3fs.S3FileSystem().mkdir("forgetful")
    return SharedStore(tmp_path / "here", f"s3://forgetful/{tmp_path.name}")


def test_a_server_without_conditional_writes_is_refused_before_anything_is_uploaded(forgetful: SharedStore) -> None:
    """Two machines would replace each other's artifacts there; the artifact is kept on this one."""
    with pytest.raises(ConfigError) as raised:
        publish(forgetful, recipe(), FILES)
    assert str(raised.value) == (
        f"the server of {forgetful.url} (PIPELINE_STORE) ignores If-None-Match: it created "
        f"{forgetful.url}/.created-once twice, so machines could replace each other's artifacts; use a server that "
        "supports conditional writes, or share PIPELINE_HOME"
    )
    assert in_bucket(forgetful.url) == []
    assert Store.get(forgetful, "train", key(recipe()))


def test_the_doctor_says_whether_the_server_of_the_bucket_knows_conditional_writes(
    tmp_path: Path, prefix: str, forgetful: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of its own where PIPELINE_STORE is set, whether or not anything was uploaded before."""
    for url, mark, said in (
        (prefix, "ok", f"{prefix}, creates an object once"),
        (prefix, "ok", f"{prefix}, creates an object once"),
        (forgetful.url, "error", f"the server of {forgetful.url} (PIPELINE_STORE) ignores If-None-Match"),
        ("s3://nobodys/x", "error", "there is no bucket nobodys (PIPELINE_STORE); create it, or name another"),
    ):
        monkeypatch.setenv("PIPELINE_STORE", url)
        [line] = [line for line in doctor.examine(Home(tmp_path), registry=False) if line.check == "store"]
        assert (line.mark, line.text[: len(said)]) == (mark, said)


def test_reading_a_manifest_downloads_no_files(here: SharedStore, there: SharedStore) -> None:
    """The manifest holds digest, recipe and facts; the files stay in the bucket."""
    made = publish(here, recipe(), FILES)
    seen = there.get("train", made.key, files=False)
    assert seen
    assert (seen.digest, seen.recipe) == (made.digest, made.recipe)
    assert not seen.path.exists()


def test_the_second_machine_to_publish_gets_the_artifact_of_the_first(here: SharedStore, there: SharedStore) -> None:
    """Its own bytes are replaced."""
    first = publish(here, recipe(), {"a": b"first"})
    assert publish(there, recipe(), {"a": b"second"}).digest == first.digest
    assert (there.path("train", first.key) / "a").read_bytes() == b"first"


def test_machines_that_publish_at_once_agree(tmp_path: Path, prefix: str) -> None:
    """Four machines publish five artifacts, each with different bytes, at once: all end with the same five."""
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
    outputs = [maker.communicate()[0] for maker in makers]
    assert [maker.returncode for maker in makers] == [0] * 4
    assert len(outputs[0].split()) == 5
    assert len(set(outputs)) == 1
    assert len(uploads(prefix)) == 5


def test_a_process_killed_while_it_uploads_publishes_nothing(
    tmp_path: Path, prefix: str, here: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 between the first file and the manifest: there is no artifact, the next process succeeds, and the upload
    is swept once it is too old to belong to a live process."""
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
    assert verified(here, recipe()).files.keys() == FILES.keys()
    restarted = SharedStore(tmp_path / "killed", prefix)
    assert verified(restarted, recipe()).digest == verified(here, recipe()).digest


def test_a_damaged_copy_is_fetched_again(here: SharedStore, there: SharedStore) -> None:
    """A flipped bit on one machine's disk is repaired from the bucket, and a lost manifest too."""
    publish(here, recipe(), FILES)
    copy = verified(there, recipe())
    flip(copy.path / "sub" / "model")
    there.verify(copy)
    assert (copy.path / "sub" / "model").read_bytes() == FILES["sub/model"]
    (copy.path / "manifest.json").write_text("{")
    assert verified(there, recipe()).digest == copy.digest


def test_a_file_changed_in_the_bucket_is_reported_and_never_used(
    here: SharedStore, there: SharedStore, prefix: str
) -> None:
    """The sentence names the object; making the stage again replaces it, for every machine."""
    import s3fs

    publish(here, recipe(), FILES)
    [model] = [path for path in in_bucket(prefix) if path.endswith("sub/model")]
    s3fs.S3FileSystem().pipe_file(model, b"1" * 100)
    with pytest.raises(ArtifactCorrupt, match=rf"s3://{model} was changed .*python -m pipeline stage train"):
        there.get("train", key(recipe()))
    assert list(there.root.glob("train/*")) == []
    again = publish(here, recipe(), FILES, replace=True)
    assert verified(there, recipe()).digest == again.digest
    assert len([path for path in in_bucket(prefix) if path.endswith("sub/model")]) == 1


def test_an_artifact_made_before_there_was_a_bucket_is_uploaded_when_it_is_used(
    here: SharedStore, there: SharedStore
) -> None:
    """Setting PIPELINE_STORE makes no stage run again."""
    publish(Store(here.root), recipe(), FILES)
    assert there.get("train", key(recipe())) is None
    verified(here, recipe())
    assert verified(there, recipe()).files.keys() == FILES.keys()


def test_a_young_artifact_may_be_needed_by_another_machine(here: SharedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """`gc` keeps what was uploaded within a week: a run that is unknown to this machine may need it."""
    made = publish(here, recipe(), FILES)
    assert here.is_young("train", made.key)
    monkeypatch.setattr(shared, "YOUNG", timedelta(0))
    assert not here.is_young("train", made.key)


@pytest.mark.parametrize("url", ["models", "gs://models", "s3://", "s3://Models", "s3:///prefix", "s3://models//x"])
def test_a_malformed_address_is_refused(tmp_path: Path, url: str) -> None:
    """The message shows the expected form."""
    with pytest.raises(ConfigError, match=rf"PIPELINE_STORE is '{url}'; expected s3://BUCKET"):
        SharedStore(tmp_path, url)


def test_a_missing_bucket_is_reported(tmp_path: Path, bucket: dict[str, str]) -> None:
    """On reading, listing and writing."""
    store = SharedStore(tmp_path, "s3://nowhere/models")
    for ask in (
        lambda: store.get("train", "0" * 16),
        lambda: list(store.list()),
        lambda: publish(store, recipe(), FILES),
    ):
        with pytest.raises(ConfigError, match="there is no bucket nowhere"):
            ask()


def test_a_server_that_does_not_answer_is_worth_a_retry(
    tmp_path: Path, bucket: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens on the port: Unavailable, with what to check."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    expected = pytest.raises(Unavailable, match=r"s3://models/x .*did not answer.*AWS_ENDPOINT_URL")
    with new_connections(), expected:
        SharedStore(tmp_path, "s3://models/x").get("train", "0" * 16)


def test_without_credentials_the_run_says_what_to_set(tmp_path: Path, bucket: dict[str, str]) -> None:
    """Before any stage runs."""
    variables = {**bucket, "PIPELINE_STORE": "s3://models/x", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    done = command(tmp_path, "run", "--source", "digits", **variables)
    assert done.returncode == 2
    assert re.search(r"error: there are no credentials for s3://models/x .*AWS_ACCESS_KEY_ID", done.stderr)
    assert "Traceback" not in done.stderr


def test_a_second_machine_reuses_every_artifact(
    home: Path, tmp_path: Path, bucket: dict[str, str], prefix: str
) -> None:
    """A run on an empty machine downloads what another one made, and fills its own registry."""
    first = quick_run(home, **bucket, PIPELINE_STORE=prefix)
    second = quick_run(tmp_path / "second", **bucket, PIPELINE_STORE=prefix)
    assert [stage["stage"] for stage in first["stages"] if stage["made"]] == []
    assert [stage["stage"] for stage in second["stages"] if stage["made"]] == ["register", "promote"]
    assert [stage["digest"] for stage in second["stages"]] == [stage["digest"] for stage in first["stages"]]
    shutil.rmtree(tmp_path / "second" / "artifacts")
    third = quick_run(tmp_path / "second", **bucket, PIPELINE_STORE=prefix)
    assert [stage["stage"] for stage in third["stages"] if stage["made"]] == []


def manifest_in_bucket(prefix: str, content: bytes | None = None) -> dict[str, Any]:
    """The document of the one manifest; replaced by *content* where that is given."""
    import s3fs

    [path] = [path for path in in_bucket(prefix) if path.endswith("manifest.json")]
    if content is not None:
        s3fs.S3FileSystem().pipe_file(path, content)
        return {}
    document: dict[str, Any] = json.loads(s3fs.S3FileSystem().cat_file(path))
    return document


@pytest.mark.parametrize("name", ["../../../code.py", "/{outside}/code.py", "sub/../../../../code.py", "manifest.json"])
def test_no_name_in_the_bucket_leads_out_of_the_artifact(
    here: SharedStore, there: SharedStore, prefix: str, name: str, tmp_path: Path
) -> None:
    """A manifest that names another place is damage: nothing is written, and making the stage again replaces it."""
    import s3fs

    publish(here, recipe(), FILES)
    name = name.replace("/{outside}", str(tmp_path))
    document = manifest_in_bucket(prefix)
    files = {name: hashlib.sha256(b"evil").hexdigest()}
    document["manifest"] |= {"files": files, "digest": digest_of(files)}
    del document["checksum"]  # whoever writes the manifest can write that too
    manifest_in_bucket(prefix, json.dumps(document).encode())
    base = f"{prefix}/train/{key(recipe())}/{document['upload']}"
    s3fs.S3FileSystem().pipe_file(f"{base}/{name}", b"evil")
    for with_files in (True, False):
        with pytest.raises(ArtifactCorrupt, match=r"s3://.*manifest\.json names '.*', which is no file of an artifact"):
            there.get("train", key(recipe()), files=with_files)
    assert not [path for path in tmp_path.rglob("*") if path.name == "code.py"]
    publish(there, recipe(), FILES, replace=True)
    assert verified(SharedStore(tmp_path / "third", prefix), recipe()).files.keys() == FILES.keys()


DEEP = (
    b'{"upload": "0123456789abcdef", "manifest": {"recipe": {"stage": "train", "code": {}, "params": {}, "inputs": {}, '
    b'"runtime": {}}, "files": {}, "digest": "", "made": {}, "facts": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}}"
)
GARBAGE = {
    "empty": b"",
    "half": b'{"upload": "01',
    "another type": b"[]",
    "not text": b"\xff\xfe\x00",
    "deep": DEEP,
    "another upload": b'{"upload": "../../x", "manifest": {}}',
    "large": b" " * 5000 + b"{}",
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE.keys())
def test_a_manifest_that_is_garbage_is_damage_that_the_stage_repairs(
    here: SharedStore, there: SharedStore, prefix: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence with the object's name, for a machine without a copy; the artifact that is made again replaces it."""
    monkeypatch.setattr(shared, "LARGEST", 4096)
    publish(here, recipe(), {"a": b"1"})
    manifest_in_bucket(prefix, content)
    with pytest.raises(ArtifactCorrupt, match=r"s3://.*manifest\.json .*; run 'python -m pipeline stage train'"):
        there.get("train", key(recipe()))
    assert there.sweep_uploads() == 0
    made = publish(there, recipe(), {"a": b"2"}, replace=True)
    assert verified(here, recipe()).digest == made.digest


def test_a_damaged_manifest_is_replaced_by_an_intact_copy(here: SharedStore, there: SharedStore, prefix: str) -> None:
    """What this machine has need not be made again."""
    made = publish(here, recipe(), FILES)
    manifest_in_bucket(prefix, b"{")
    assert verified(here, recipe()).digest == made.digest
    assert verified(there, recipe()).digest == made.digest


def test_what_others_keep_in_the_bucket_is_no_artifact(
    here: SharedStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither listed nor swept nor deleted: MLflow's files beside the artifacts, a web page's manifest, two dots."""
    import s3fs

    monkeypatch.setattr(shared, "UPLOAD_DIED", timedelta(0))
    made = publish(here, recipe(), FILES)
    others = ("README.md", "app/v1/manifest.json", "1/0a1b/artifacts/model", "../../manifest.json", "train/x/y/z")
    for name in (*others, f"train/{made.key}/notes/today"):
        s3fs.S3FileSystem().pipe_file(f"{prefix}/{name}", b"{}")
    before = in_bucket(prefix)
    assert list(here.list()) == [("train", made.key)]
    assert here.sweep_uploads() == 0
    assert in_bucket(prefix) == before
    assert here.get("..", "..") is None


FETCHER = """
import sys; from pathlib import Path; from pipeline.store.bucket import SharedStore
download = SharedStore._download
def waiting(*arguments):
    print("downloading", flush=True); sys.stdin.readline(); download(*arguments)
SharedStore._download = waiting
artifact = SharedStore(Path(sys.argv[1]), sys.argv[2]).get("train", sys.argv[3])
print(artifact.path.stat().st_ino, flush=True)
sys.stdin.readline(); print((artifact.path / "other").read_text())
"""


def fetcher(store: SharedStore, name: str) -> "subprocess.Popen[str]":
    """A process that fetches an artifact, a line of input before it downloads, another before it reads a file."""
    return subprocess.Popen(
        [sys.executable, "-c", FETCHER, str(store.root), store.url, name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_processes_of_one_machine_do_not_take_a_copy_from_each_other(here: SharedStore, there: SharedStore) -> None:
    """The second waits for the download of the first and uses the same folder, which the first is reading."""
    name = publish(here, recipe(), FILES).key
    first, second = fetcher(there, name), None
    assert first.stdout
    assert first.stdin
    assert first.stdout.readline() == "downloading\n"
    second = fetcher(there, name)
    assert second.stdout
    assert f"train/{name}" in second.stdout.readline()  # what it waits for
    print(file=first.stdin, flush=True)
    folder = first.stdout.readline()
    assert second.stdout.readline() == folder
    (rest, _), (first_rest, _) = second.communicate("\n"), first.communicate("\n")
    assert (rest, first_rest) == ("1\n", "1\n")


def test_a_copy_that_a_live_process_reads_is_not_replaced_by_another(here: SharedStore, there: SharedStore) -> None:
    """Another machine has made the artifact again, with other bytes: they are fetched once the reader has ended."""
    old = publish(here, recipe(), FILES)
    there.get("train", old.key)
    reader = fetcher(there, old.key)
    assert reader.stdout
    assert reader.stdout.readline().strip().isdigit()
    new = publish(here, recipe(), {"other": b"2"}, replace=True)
    assert verified(there, recipe()).digest == old.digest
    assert reader.communicate("\n")[0] == "1\n"
    assert verified(there, recipe()).digest == new.digest


def test_a_link_is_not_uploaded(here: SharedStore, tmp_path: Path, prefix: str) -> None:
    """It could lead to any file that this user can read."""
    (tmp_path / "private").write_bytes(b"1")
    made = publish(Store(here.root), recipe(), {"a": b"1"})
    (made.path / "a").unlink()
    (made.path / "a").symlink_to(tmp_path / "private")
    with pytest.raises(ArtifactCorrupt, match="python -m pipeline stage train"):
        here.get("train", made.key)
    assert in_bucket(prefix) == []


class Garbage(BaseHTTPRequestHandler):
    """Answers every request with the status and the body that the first part of its path names."""

    def do_GET(self) -> None:
        status, body = ANSWERS[self.path.split("/")[1]]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_PUT = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None: ...


ANSWERS = {
    "page": (200, b"<html>Please log in</html>"),
    "bad-request": (400, b"<html>"),
    "no-such-method": (405, b""),
    "not-implemented": (501, b""),
    "busy": (503, b"busy"),
}


@pytest.fixture(scope="module")
def garbage_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Garbage)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_server_that_is_no_object_store_is_told_in_a_sentence(
    tmp_path: Path, bucket: dict[str, str], garbage_server: str, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """A page to log in does not make a stage run again, and no status is a traceback."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", garbage_server)
    expected = pytest.raises((ConfigError, Unavailable), match=rf"s3://{answer}/x .*AWS_ENDPOINT_URL")
    with new_connections(), expected:
        SharedStore(tmp_path, f"s3://{answer}/x").get("train", "0" * 16)


def test_changed_facts_in_the_bucket_are_damage(here: SharedStore, there: SharedStore, prefix: str) -> None:
    """What another machine's gates would judge is covered by a checksum; one without it is of an earlier version."""
    with here.draft("train", key(recipe())) as draft:
        here.publish(draft, recipe(), {"bytes": 1000}, {})
    document = manifest_in_bucket(prefix)
    document["manifest"]["facts"]["bytes"] = 1001
    manifest_in_bucket(prefix, json.dumps(document).encode())
    with pytest.raises(ArtifactCorrupt, match=r"s3://.*manifest\.json was changed since it was published"):
        there.get("train", key(recipe()))
    del document["checksum"]
    manifest_in_bucket(prefix, json.dumps(document).encode())
    assert there.get("train", key(recipe()))
