"""What a version was made from, as it was recorded, and what of it is still there."""

import shutil
import sqlite3
import tomllib
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from components.errors import ArtifactCorrupt, ConfigError, SourceError, SourceUnreachable
from components.register.provenance import FILE, SHA256_TAG, Build, Resource, statement, text
from components.registry.client import Registry
from components.registry.model_version import MODEL_SHA256_TAG, ModelVersion
from components.system.wheels import wheels
from pipeline import teacher
from pipeline.home import Home
from pipeline.provenance import NETWORK
from pipeline.repository import git
from pipeline.reproduce import code, inputs, packages, recorded, reproduction, settings
from pipeline.reproduce.recorded import Recorded
from tests.support import idx_files
from tests.support.mlflow_server import add_version, mlflow_server
from tests.support.s3_server import new_connections
from tests.support.unkind_servers import absent, serving, whole

NOBODY = "http://127.0.0.1:9/"


def made_of(*dependencies: Resource, python: str = "3.11.9", **chosen: Any) -> Recorded:
    """What was recorded of a version with these *dependencies* and *chosen* settings ("train__epochs")."""
    values = {name.replace("__", "."): value for name, value in chosen.items()}
    build = Build("run", "", "", {"python": python}, {"settings": values}, {"environments": {}}, dependencies, [])
    return Recorded(ModelVersion("m", "3"), statement({}, build), {})


@pytest.fixture
def registered(tmp_path: Path) -> ModelVersion:
    """A version with a provenance.json on this machine."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    content = text(made_of().statement)
    (folder / FILE).write_bytes(content)
    return ModelVersion("m", "3", tags={SHA256_TAG: sha256(content).hexdigest()}, source=folder.as_uri())


def test_what_was_recorded_is_read(registered: ModelVersion) -> None:
    assert recorded.read(Registry("sqlite:////nowhere"), registered).python == "3.11.9"


def test_a_record_that_was_changed_or_is_missing_is_refused(registered: ModelVersion, tmp_path: Path) -> None:
    """A version is not made again from what somebody wrote into its record."""
    file = tmp_path / "artifacts" / FILE
    file.write_bytes(file.read_bytes().replace(b"3.11.9", b"3.12.0"))
    with pytest.raises(ArtifactCorrupt, match=r"provenance\.json of version 3 of m was changed"):
        recorded.read(Registry("sqlite:////nowhere"), registered)
    file.unlink()
    with pytest.raises(ArtifactCorrupt, match="is missing"):
        recorded.read(Registry("sqlite:////nowhere"), registered)


def test_a_version_without_a_record_says_so() -> None:
    with pytest.raises(ConfigError, match=r"version 1 of m has no provenance\.json"):
        recorded.read(Registry("sqlite:////nowhere"), ModelVersion("m", "1"))


def test_changes_that_are_too_large_are_not_kept() -> None:
    """A tree that was not clean and whose changes are unknown is not taken for its commit, which is said with why."""
    head = git("rev-parse", "HEAD").decode().strip()
    commit = Resource("code", {"gitCommit": head}, annotations={"clean": False})
    diff = Resource("changes", {"sha256": "1" * 64}, annotations={"too_large": 12_300_000})
    assert made_of(commit, diff).changes is None
    assert made_of(commit).changes is None
    assert made_of(Resource("code", {"gitCommit": head}, annotations={"clean": True})).changes == b""
    with_changes = f"version 3 of m was made from commit {head[:12]} with changes to the code that "
    assert code.problem(made_of(commit, diff)) == f"{with_changes}were not kept: 12.3 MB are too much"
    assert code.problem(made_of(commit)) == f"{with_changes}are gone from its files"


def test_places_are_those_of_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that exists is made absolute, as the run has another working folder; one that does not is left out.

    So are addresses whose login was not recorded; a missing source stays, for the message. Corrections come from the
    record alone, and stages after evaluate have no settings.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets").mkdir()
    chosen = {
        "ingest__source": "pets",
        "ingest__data_dir": str(tmp_path / "gone"),
        "ingest__mirror": "http://***@host/",
    }
    version = made_of(**chosen, ingest__corrections="auto", train__epochs=2, export__formats="tflite")
    assert settings.settings(version, threads=3) == {
        "ingest.source": str(tmp_path / "pets"),
        "ingest.corrections": "",
        "train.epochs": 2,
        "train.threads": 3,
        "register.experiment": "reproduction",
    }
    assert settings.settings(version, source="/elsewhere")["ingest.source"] == "/elsewhere"
    assert settings.settings(made_of(ingest__source="digits"))["ingest.source"] == "digits"


def test_a_published_data_set_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On this machine, where MNIST_DIR leads now, else at its address, which may be gone or not answer now."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("MNIST_DIR", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))

    def look(mirror: str) -> str:
        version = made_of(Resource("images", {"fingerprint": "mnist"}), ingest__source="mnist", ingest__mirror=mirror)
        return inputs.fingerprint(version, Home(tmp_path), settings.settings(version))

    with pytest.raises(SourceUnreachable, match=r"^the images of version 3 of m cannot be had now: MNIST cannot be .*"):
        look(NOBODY)
    with serving(absent) as address, pytest.raises(SourceError, match=r"^the images of version 3 of m are gone: .*404"):
        look(address)
    with serving(whole) as address:
        assert look(address) == "mnist"
    idx_files.write(tmp_path / "files")
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "files"))
    assert look(NOBODY) == "mnist"
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match=r"are gone: .*/nowhere, from MNIST_DIR or ingest\.data_dir, does not exist"):
        look(NOBODY)


def test_a_bucket_that_does_not_answer_is_not_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "tests")
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOBODY)
    version = made_of(ingest__source="s3://photos/animals")
    expected = pytest.raises(
        SourceUnreachable, match=r"^the images of version 3 of m cannot be had now: s3://photos/animals"
    )
    with new_connections(), expected:
        inputs.fingerprint(version, Home(tmp_path), settings.settings(version))


def test_what_is_gone_is_named_before_what_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together, as trying again helps with the second alone."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("MNIST_DIR", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))

    def prepare(commit: str) -> None:
        code = Resource("code", {"gitCommit": commit}, annotations={"clean": True})
        version = made_of(code, ingest__source="mnist", ingest__mirror=NOBODY)
        home = Home(tmp_path)
        with reproduction.prepared(
            reproduction.Request(version, home, Registry(home.tracking_uri), tmp_path, tmp_path)
        ):
            raise AssertionError("it was prepared")

    with pytest.raises(SourceUnreachable, match="cannot be had now"):
        prepare(git("rev-parse", "HEAD").decode().strip())
    with pytest.raises(ConfigError, match="is gone from this repository") as caught:
        prepare("0" * 40)
    assert "cannot be had now" in caught.value.problems[1]


def test_packages_are_compared_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's patch version is one of them."""
    here = [Resource(wheel.name, uri=f"pkg:pypi/{wheel.name}@{wheel.version}") for wheel in wheels()]
    monkeypatch.setattr("platform.python_version", lambda: "3.11.9")
    assert packages.differences(made_of(*here)) == []
    other = [one for one in here if one.name != "numpy"] + [Resource("numpy", uri="pkg:pypi/numpy@1.0")]
    (sentence,) = packages.differences(made_of(*other))
    assert sentence.startswith("numpy 1.0 then, ")
    assert packages.differences(made_of(*here, python="3.11.8")) == ["Python 3.11.8 then, 3.11.9 here"]


def test_the_lock_of_the_commit_has_to_be_that_of_the_version(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("numpy==2.4.0\n")
    same = Resource("requirements.lock", {"sha256": sha256(b"numpy==2.4.0\n").hexdigest()})
    assert packages.problem(made_of(same), tmp_path) == ""
    assert "is not the one" in packages.problem(made_of(Resource("requirements.lock", {"sha256": "0"})), tmp_path)


def test_a_network_of_the_user_comes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From where Python finds it now, unless the commit has it; where it was changed or is gone, it is named."""
    content = b"def small(config): ...\n"
    (tmp_path / "own").mkdir()
    (tmp_path / "own/nets_of_test_inputs.py").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path / "own")

    def network(sha: str, module: str = "nets_of_test_inputs") -> Recorded:
        return made_of(Resource(NETWORK, {"sha256": sha}, annotations={"module": module}))

    same, (at, there) = sha256(content).hexdigest(), (tmp_path / "code", tmp_path / "networks")
    assert code.networks(network(same), at, there) == []
    assert (there / "nets_of_test_inputs.py").read_bytes() == content
    assert "was changed since" in code.networks(network("0" * 64), at, there)[0]
    assert "is gone" in code.networks(network(same, "no_such_network"), at, there)[0]
    at.mkdir()
    (at / "no_such_network.py").write_bytes(content)
    assert code.networks(network(same, "no_such_network"), at, there) == []


def test_settings_are_written_as_toml(tmp_path: Path) -> None:
    """Every type of a setting, and texts with quotes, are read back as they were."""
    values = {
        "train.epochs": 2,
        "train.dropout": 0.25,
        "ingest.source": 'a "b" \\ ü',
        "gate.allow_removed_classes": True,
    }
    settings.write(tmp_path / "s.toml", values)
    read = tomllib.loads((tmp_path / "s.toml").read_text())
    assert {f"{section}.{name}": value for section in read for name, value in read[section].items()} == values


class Models:
    """A registry in a database file, with one version, whose model file has the content b"weights"."""

    sha256 = sha256(b"weights").hexdigest()

    def __init__(self, file: Path) -> None:
        self.uri = f"sqlite:///{file}"
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("CREATE TABLE versions (number TEXT)")

    def versions(self, name: str) -> list[ModelVersion]:
        return [ModelVersion(name, "2", tags={MODEL_SHA256_TAG: self.sha256})]

    def model_file(self, version: ModelVersion, folder: Path) -> Path:
        (folder / "model.keras").write_bytes(b"weights")
        return folder / "model.keras"


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    return Models(tmp_path / "registry.db")


def test_a_teacher_is_the_version_of_then(registry: Any, tmp_path: Path) -> None:
    """Whatever its alias names by now; the run finds it in a copy of the registry, as it must not write to ours."""
    there = tmp_path / "again"
    there.mkdir()
    version = made_of(Resource("teacher", {"sha256": Models.sha256}), train__teacher="champion")
    assert inputs.models(version, Home(tmp_path), registry, there) == {"train.teacher": "2"}
    with closing(sqlite3.connect(there / "mlflow.db")) as copy:
        assert copy.execute("SELECT name FROM sqlite_master").fetchall() == [("versions",)]
    other = made_of(Resource("teacher", {"sha256": "0" * 64}), train__teacher="champion")
    with pytest.raises(ConfigError, match="which m has no version of"):
        inputs.models(other, Home(tmp_path), registry, there)


def test_a_teacher_in_the_registry_of_a_server_is_lent(tmp_path: Path, empty_database: Path) -> None:
    """The run finds that version alone, with its model and tags, in its workspace; nothing is logged to the server."""
    there, server, files = tmp_path / "again", tmp_path / "server", tmp_path / "files"
    for folder in (there, server, files):
        folder.mkdir()
    shutil.copy(empty_database, there / "mlflow.db")  # to create it takes seconds
    with mlflow_server(server, empty_database) as uri:
        remote = Registry(uri)
        remote.create_model("m", "")
        tags = {MODEL_SHA256_TAG: Models.sha256, "classes": '["cat", "dog"]', "train.key": "0123456789abcdef"}
        for of_version in ({MODEL_SHA256_TAG: "0" * 64}, tags):
            version = add_version(remote, "m", of_version)
        (files / "model.keras").write_bytes(b"weights")
        remote.log_files(version, files, "data")
        wanted = made_of(Resource("teacher", {"sha256": Models.sha256}), train__teacher="champion")
        chosen = inputs.models(wanted, Home(tmp_path), remote, there)
    own = Registry(f"sqlite:///{there}/mlflow.db")
    lent = teacher.find_version("teacher", chosen["train.teacher"], "m", own)
    assert (len(own.versions("m")), lent.tags) == (1, tags)
    file = teacher.file(lent, Home(there), own)
    assert (file.path.read_bytes(), file.classes) == (b"weights", ("cat", "dog"))


def test_first_weights_are_the_file_of_then(registry: Any, tmp_path: Path) -> None:
    """A file that is still the same stays; one that was overwritten is looked for among the versions."""
    file = tmp_path / "start.keras"
    file.write_bytes(b"weights")
    weights = Resource("weights", {"sha256": Models.sha256})
    found = inputs.models(made_of(weights, train__weights="champion"), Home(tmp_path), registry, tmp_path)
    assert Path(found["train.weights"]).read_bytes() == b"weights"
    assert inputs.models(made_of(weights, train__weights=str(file)), Home(tmp_path), registry, tmp_path) == {}
    file.write_bytes(b"others")
    found = inputs.models(made_of(weights, train__weights=str(file)), Home(tmp_path), registry, tmp_path)
    assert Path(found["train.weights"]).read_bytes() == b"weights"
    assert inputs.models(made_of(weights, train__weights="imagenet"), Home(tmp_path), registry, tmp_path) == {}
