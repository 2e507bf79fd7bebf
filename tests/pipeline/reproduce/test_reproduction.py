"""A version is made again in a bare clone, by another user, with another workspace and another folder, and compared."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.data import corrections
from components.registry.client import Registry
from components.system.files import sha256_of_file
from pipeline.home import Home
from tests.components.register.test_provenance import check
from tests.conftest import QUICK, command_of, once
from tests.support import checkout, other_user

SETTINGS = (*QUICK, "train.threads=2", "gate.min_accuracy=0", "ingest.test_share=0.3")


def write_pets(folder: Path) -> None:
    """Bright cats and dark dogs, 8 x 8 pixels with noise."""
    rng = np.random.default_rng(0)
    for number in range(240):
        kind = number % 2
        file = folder / ("cat", "dog")[kind] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(100 * kind, 130 + 100 * kind, (8, 8), np.uint8)).save(file)


def fill(folder: Path) -> None:
    """A clone of the repository, a folder of images, a correction of a label, and version 1 of their model."""
    code = checkout.clone(folder / "code")
    write_pets(folder / "pets")
    corrections.append(folder / "home/corrections/pets.jsonl", sha256_of_file(folder / "pets/cat/0.png"), "cat", "dog")
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    run = ("run", "--source", str(folder / "pets"), *settings, "--until", "register")
    done = command_of(code, folder / "home", *run)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `fill` makes. Read only."""
    return once(tmp_path_factory, "reproduced", fill)


@pytest.fixture
def reproduce(made: Path, tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`reproduce 1 ARGUMENTS` in another clone, with temporary files in *tmp_path*/scratch."""
    code = tmp_path / "elsewhere"
    checkout.git(tmp_path, "clone", "--quiet", str(made / "code"), str(code))
    (tmp_path / "scratch").mkdir()

    def act(
        *arguments: str, home: Path = made / "home", prefix: Sequence[str] = (), **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        known = {"TMPDIR": str(tmp_path / "scratch"), **environment}
        return command_of(code, home, "reproduce", "1", *arguments, prefix=prefix, **known)

    return act


def statement(home: Path) -> dict[str, Any]:
    (file,) = home.glob("mlartifacts/**/provenance.json")
    document: dict[str, Any] = json.loads(file.read_bytes())
    return document


def test_a_version_says_what_it_takes(made: Path) -> None:
    """In the published vocabulary: commit, lock, wheels, settings, images, keys and digests, machine."""
    document = statement(made / "home")
    check(document)
    definition = document["predicate"]["buildDefinition"]
    named = {one["name"]: one for one in definition["resolvedDependencies"]}
    assert named["code"]["digest"] == {"gitCommit": checkout.git(made / "code", "rev-parse", "HEAD").strip()}
    assert named["code"]["annotations"] == {"clean": True}
    assert named["numpy"]["uri"].startswith("pkg:pypi/numpy@")
    assert named["numpy"]["annotations"]["tags"]
    assert len(named["requirements.lock"]["digest"]["sha256"]) == 64
    assert definition["externalParameters"]["settings"]["train.epochs"] == 2
    assert definition["internalParameters"]["training"]["train.batch_size"] > 0, "as it was resolved"
    (version,) = Registry(Home(made / "home").tracking_uri).versions("pets-classifier")
    assert (version.tags["threads"], version.tags["python"]) == ("2", platform.python_version())
    assert version.tags["processor"]
    assert version.tags["precision"] in ("float32", "mixed_bfloat16")
    stages = {one["name"]: one for one in document["predicate"]["runDetails"]["byproducts"]}
    for stage in ("ingest", "validate", "normalize", "train", "evaluate"):
        key = stages[stage]["annotations"]["key"]
        manifest = json.loads((made / "home/artifacts" / stage / key / "manifest.json").read_bytes())
        assert stages[stage]["digest"] == {"filesSha256": manifest["digest"]}
        assert definition["internalParameters"]["environments"][stage] == manifest["made"]["environment"]


@pytest.fixture
def bare(made: Path, tmp_path: Path) -> Path:
    """A worktree of a bare clone, with its own folders for the images, temporary files and the workspace."""
    checkout.git(tmp_path, "clone", "--quiet", "--bare", str(made / "code"), str(tmp_path / "bare.git"))
    checkout.git(tmp_path / "bare.git", "worktree", "add", "--quiet", "--detach", str(tmp_path / "elsewhere"))
    shutil.copytree(made / "pets", tmp_path / "moved/pets")
    (tmp_path / "scratch").mkdir()
    other_user.give(tmp_path)
    return tmp_path


def test_it_is_made_again_bit_for_bit(made: Path, bare: Path) -> None:
    """In a bare clone, another workspace and folder of images, by another user, who has no home folder.

    With the corrections of then, whatever was decided since. Nothing is left but the workspace that was asked for.
    """
    home, prefix = bare / "again", other_user.prefix()
    places = {"HOME": "/nonexistent", "TMPDIR": str(bare / "scratch")}
    arguments = ("reproduce", "1", "--source", str(bare / "moved/pets"), "--home", str(home), "--json")
    done = command_of(bare / "elsewhere", made / "home", *arguments, prefix=prefix, **places)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["grade"], answer["machine"]) == ("exact", [])
    assert answer["sentence"].endswith(": bit for bit the model of version 1")
    assert next(home.glob("artifacts/ingest/*/corrections.json")), "the corrections were applied"
    assert all(stage["equal"] for stage in answer["stages"].values())
    models = [next(path.glob("artifacts/train/*/model.keras")) for path in (made / "home", home)]
    assert models[0].read_bytes() == models[1].read_bytes()
    assert models[1].stat().st_uid == (other_user.UID if prefix else os.geteuid())
    assert list((bare / "scratch").glob("reproduce-*")) == []
    assert [folder.name for folder in (bare / "bare.git/worktrees").iterdir()] == ["elsewhere"]
    if not prefix:
        pytest.skip(f"made again, but by the same user: {other_user.ONLY_ROOT}")


def test_a_repository_of_another_user_is_only_read(made: Path, reproduce: Any, tmp_path: Path) -> None:
    """Where that user trusts it; git reads it for nobody else, which is said with the ways out.

    Nor is the workspace written to, where hashes of images would be cached.
    """
    if not (prefix := other_user.prefix()):
        pytest.skip(other_user.ONLY_ROOT)
    other_user.give(tmp_path / "scratch")
    home = tmp_path / "home"
    shutil.copytree(made / "home", home, symlinks=True, ignore=shutil.ignore_patterns("hashes-*"))
    known = {"HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    done = reproduce("--check", home=home, prefix=prefix, **known)
    code = tmp_path / "elsewhere"
    assert (done.returncode, done.stderr) == (
        2,
        f"error: git does not read the repository of {code}, as it belongs to another user; clone it to a folder of "
        f"your own, or trust it: git config --global --add safe.directory {code}\n",
    )
    (tmp_path / ".gitconfig").write_text(f"[safe]\n\tdirectory = {code}\n")
    done = reproduce("--check", "--keep", home=home, prefix=prefix, **known)
    assert (done.returncode, done.stdout) == (0, "version 1 of pets-classifier can be made again, bit for bit\n")
    (kept,) = (tmp_path / "scratch").glob("reproduce-*/code/components")
    assert kept.stat().st_uid == other_user.UID
    assert not (code / ".git/worktrees").exists()
    assert next((tmp_path / "scratch").glob("reproduce-*/caches/cache/hashes-*"))


def test_with_one_thread_more_it_is_equivalent(reproduce: Any) -> None:
    """And never exact, whatever the bytes are."""
    done = reproduce("--threads", "3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["result", "equivalent"]
    assert "3 threads here, 2 then" in done.stdout
    assert "train.threads" not in done.stdout, "once is enough"


def test_one_thread_more_is_foretold(reproduce: Any) -> None:
    """--check trains nothing."""
    assert "can be made again, bit for bit" in reproduce("--check").stdout
    answer = json.loads(reproduce("--check", "--threads", "3", "--json").stdout)
    assert (answer["possible"], answer["grade"]) == (True, "equivalent")
    assert answer["machine"] == ["3 threads here, 2 then"]


def test_an_image_that_changed_is_named(made: Path, reproduce: Any, tmp_path: Path) -> None:
    """Before anything is made where a file that was there is another one; after ingest where there is one more."""
    shutil.copytree(made / "pets", tmp_path / "moved/pets")
    there = tmp_path / "moved/pets"
    Image.fromarray(np.full((8, 8), 77, np.uint8)).save(there / "cat/12.png")
    done = reproduce("--check", "--source", str(there))
    assert (done.returncode, done.stdout) == (3, "")
    assert "the images are not those of version 1 of pets-classifier: cat/12.png was changed" in done.stderr
    shutil.copy(made / "pets/cat/12.png", there / "cat/12.png")
    Image.fromarray(np.full((8, 8), 77, np.uint8)).save(there / "dog/new.png")
    done = reproduce("--source", str(there))
    assert done.returncode == 3, done.stderr
    assert "ingest differs" in done.stdout
    assert "dog/new.png is new" in done.stdout


def test_what_is_gone_is_named(made: Path, reproduce: Any, tmp_path: Path) -> None:
    """The folder of images; and the commit, in a repository that begins later."""
    done = reproduce("--check", "--source", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "the images of version 1 of pets-classifier are gone" in done.stderr
    code = tmp_path / "elsewhere"
    shutil.rmtree(code / ".git")
    checkout.git(tmp_path, "init", "--quiet", str(code))
    checkout.commit(code, "another beginning")
    done = reproduce("--check")
    assert done.returncode == 2
    commit = checkout.git(made / "code", "rev-parse", "HEAD")[:12]
    assert f"commit {commit} is gone from this repository" in done.stderr


def test_options_that_cannot_be_meant_are_refused(made: Path, reproduce: Any) -> None:
    """A workspace with something in it, which would be reused instead of made again; no thread at all."""
    done = reproduce("--home", str(made / "home"))
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    done = reproduce("--threads", "0")
    assert (done.returncode, done.stderr) == (
        2,
        "error: --threads is 0; expected at least 1, or leave it out: as many as then\n",
    )


def test_packages_that_cannot_be_had_are_named(reproduce: Any, tmp_path: Path) -> None:
    """Where others are installed here, those of the lock are asked for by hash: here, of an index that is gone."""
    other = tmp_path / "packages/numpy-0.0.1.dist-info"
    other.mkdir(parents=True)
    (other / "WHEEL").write_text("Tag: py3-none-any\n")
    gone = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_NO_CACHE": "1", "UV_HTTP_RETRIES": "0"}
    done = reproduce("--check", PYTHONPATH=str(other.parent), **gone)
    assert done.returncode == 1, done.stderr
    assert "the packages of version 1 of pets-classifier cannot be installed" in done.stderr


def test_a_changed_tree_is_made_again_with_its_changes(made: Path, tmp_path: Path) -> None:
    """The diff is recorded with the version, packed as it is long, and the code that is checked out has it.

    Without it there is a refusal.
    """
    code, home = tmp_path / "dirty", tmp_path / "home"
    checkout.git(tmp_path, "clone", "--quiet", str(made / "code"), str(code))
    shutil.copytree(made / "home", home, symlinks=True)
    source = code / "components/errors.py"  # in no key: the training is reused
    lines = "".join(f"# {number}\n" for number in range(150_000))
    source.write_text(f"{source.read_text()}\n\n{lines}CHANGED = True\n")
    settings = [part for setting in (*SETTINGS, "register.name=dirty") for part in ("--set", setting)]
    done = command_of(code, home, "run", "--source", str(made / "pets"), *settings, "--until", "register")
    assert done.returncode == 0, done.stderr
    checkout.git(code, "checkout", "--quiet", "--", ".")
    check_it = ("reproduce", "1", "--name", "dirty", "--check")
    done = command_of(code, home, *check_it, "--keep", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    (kept,) = tmp_path.glob("reproduce-*/code/components/errors.py")
    assert kept.read_text().endswith("CHANGED = True\n")
    (diff,) = home.glob("mlartifacts/**/provenance/changes.diff.gz")
    assert diff.stat().st_size < 2**19, "of more than a megabyte of text"
    diff.unlink()
    done = command_of(code, home, *check_it, TMPDIR=str(tmp_path))
    assert done.returncode == 2
    assert "with changes to the code that are gone from its files" in done.stderr
