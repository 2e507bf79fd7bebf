"""Hashes of code: what counts, and when a remembered hash is used."""

import json
import os
import sys
import time
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

from components.system.files import sha256_of_file
from components.system.source_code import find_module
from pipeline.graph import STAGES
from pipeline.store.code_hash import FILE, CodeHashes

CODE = {"theirs/__init__.py": "", "theirs/net.py": "from theirs.size import WIDTH\n", "theirs/size.py": "WIDTH = 3\n"}
YESTERDAY = time.time() - 86_400


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of three modules, last modified yesterday, where Python finds it."""
    for name, text in CODE.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        os.utime(path, (YESTERDAY, YESTERDAY))
    monkeypatch.syspath_prepend(tmp_path)
    find_module.cache_clear()
    return tmp_path / "theirs"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def reached(cache: Path | None) -> dict[str, str]:
    """The hashes as a new process would find them."""
    return CodeHashes(cache).reached(["theirs.net"])


def remembered(cache: Path) -> set[str]:
    return set(json.loads((cache / FILE).read_bytes())["modules"])


def test_a_module_that_did_not_change_is_not_parsed_again(theirs: Path, cache: Path) -> None:
    """The hash in the cache is taken as it stands, here a wrong one."""
    before = reached(cache)
    assert before.keys() == remembered(cache) == {"theirs", "theirs.net", "theirs.size"}
    text = (cache / FILE).read_text()
    (cache / FILE).write_text(text.replace(before["theirs.size"], "remembered"))
    assert reached(cache) == {**before, "theirs.size": "remembered"}


@pytest.mark.parametrize("modified", [YESTERDAY, YESTERDAY + 1], ids=["same time", "another time"])
def test_a_changed_module_is_hashed_again(theirs: Path, cache: Path, modified: float) -> None:
    """Also where an editor put a new file of the same size and time in the old one's place."""
    before = reached(cache)
    new = theirs / "new"
    new.write_text("WIDTH = 4\n")
    os.utime(new, (modified, modified))
    new.replace(theirs / "size.py")
    after = reached(cache)
    assert after == reached(None)
    assert {name for name in after if after[name] != before[name]} == {"theirs.size"}


def test_a_module_modified_just_now_is_not_remembered(theirs: Path, cache: Path) -> None:
    """A second change within the resolution of the clock would keep size and time."""
    (theirs / "size.py").write_text("WIDTH = 4\n")
    assert reached(cache) == reached(None)
    assert remembered(cache) == {"theirs", "theirs.net"}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"made_by": "another", "modules": {"theirs.size": 1}}'])
def test_a_cache_that_cannot_be_used_is_written_again(theirs: Path, cache: Path, content: str) -> None:
    """Damaged, or written by other code: the hashes are computed."""
    (cache / FILE).write_text(content)
    assert reached(cache) == reached(None)
    assert remembered(cache) == {"theirs", "theirs.net", "theirs.size"}


def test_a_workspace_that_cannot_be_written_changes_no_hash(theirs: Path, tmp_path: Path) -> None:
    """`explain` and `settings` look before anything is made."""
    assert reached(tmp_path / "missing") == reached(None)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "promote"])
def test_no_stage_reaches_a_verdict(stage: str) -> None:
    """A check is judged again on every run, so no change to one may make an artifact again; promote judges itself."""
    modules = CodeHashes(None).reached([f"components.{stage}.stage"], outside=())
    assert not {name for name in modules if name.endswith(".check") or name == "components.findings"}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where Python finds a user's files."""
    monkeypatch.syspath_prepend(tmp_path)
    find_module.cache_clear()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("from blocks import conv", "blocks.py"),
        ("import blocks", "blocks.py"),
        ("import parts.blocks as b", "parts/blocks.py"),
        ("import parts.blocks", "parts/__init__.py"),
        ("from parts import blocks", "parts/blocks.py"),
        ("from parts import *", "parts/blocks.py"),
        ("def net():\n    from parts.deep.blocks import conv", "parts/deep/blocks.py"),
        ("try:\n    import blocks\nexcept ImportError:\n    pass", "blocks.py"),
        ("from importlib import import_module\nblocks = import_module('parts.blocks')", "parts/blocks.py"),
        ("blocks = __import__('blocks')", "blocks.py"),
        ("import relay", "behind_it.py"),
        ("import package_that_imports", "behind_it.py"),
        ("import spaces.inner.blocks", "spaces/inner/blocks.py"),
        ("import statistics", "statistics.py"),
    ],
)
def test_every_file_that_a_flat_network_imports_is_in_its_key(current: Path, line: str, file: str) -> None:
    """Files in the current folder are one code, whatever their names and whichever form of import: an edit counts."""
    write(
        current, dict.fromkeys(("parts/__init__.py", "parts/deep/__init__.py", "package_that_imports/__init__.py"), "")
    )
    write(current, {"relay.py": "import behind_it", "package_that_imports/__init__.py": "import behind_it"})
    write(current, {"parts/__init__.py": "__all__ = ['blocks']", "small.py": line, file: "ACTIVATION = 'relu'"})
    before = CodeHashes(None).reached(["small"])
    write(current, {file: "ACTIVATION = 'tanh'"})
    find_module.cache_clear()
    after = CodeHashes(None).reached(["small"])
    changed = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    assert {name for name in after if before.get(name) != after[name]} == {changed}


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_what_is_installed_is_not_followed(current: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Keras and NumPy, named by their versions, and the standard library; nor a module that is not there."""
    write(current, {f"{folder}/theirs/__init__.py": "", f"{folder}/flat.py": ""})
    write(
        current,
        {"small.py": "import json, sys, numpy.linalg, theirs.net, flat, missing.thing\nfrom keras import layers"},
    )
    monkeypatch.syspath_prepend(current / folder)
    find_module.cache_clear()
    assert CodeHashes(None).reached(["small"]).keys() == {"small"}


def test_an_editable_installation_is_followed(current: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code lies in the user's own folder, whichever way the installer leads Python there."""

    class Finder:
        def find_spec(self, name: str, path: object = None) -> ModuleSpec | None:
            return spec_from_file_location(name, current / "src/mylib.py") if name == "mylib" else None

    write(current, {"small.py": "import mylib", "src/mylib.py": "from beside import x", "beside.py": ""})
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert CodeHashes(None).reached(["small"]).keys() == {"small", "mylib", "beside"}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("blocks.py", b"this is not Python"),
        ("blocks.py", b"\0"),
        ("blocks.py", b"x = " + b"(" * 9999),
        ("blocks.py", b"# -*- coding: latin-1 -*-\nx = '\xe9'"),
        ("blocks.py", b"# -*- coding: nonsense -*-\nx = 1"),
        (f"blocks{EXTENSION_SUFFIXES[0]}", b"\x7fELF"),
        ("blocks.pyc", b"compiled"),
    ],
    ids=["syntax", "null", "nested", "latin", "unknown encoding", "extension", "bytecode"],
)
def test_a_module_without_readable_source_counts_with_its_bytes(current: Path, file: str, content: bytes) -> None:
    """It may be compiled, or meant for another version of Python, where the import is never reached."""
    write(current, {"small.py": "import blocks"})
    (current / file).write_bytes(content)
    before = CodeHashes(None).reached(["small"])
    (current / file).write_bytes(content + b"2")
    after = CodeHashes(None).reached(["small"])
    assert before.keys() == after.keys() == {"small", "blocks"}
    assert before["blocks"] != after["blocks"]


def test_a_module_in_an_archive_counts_with_the_archive(current: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTHONPATH may name a zip file."""
    with zipfile.ZipFile(current / "code.zip", "w") as archive:
        archive.writestr("blocks.py", "ACTIVATION = 'relu'")
    monkeypatch.syspath_prepend(current / "code.zip")
    write(current, {"small.py": "import blocks"})
    before = CodeHashes(None).reached(["small"])
    assert before["blocks"] == sha256_of_file(current / "code.zip")


def test_an_edit_before_the_module_is_loaded_counts(current: Path) -> None:
    """A run reads images for minutes before it loads a user's network: the key is of what it loads then."""
    write(current, {"small.py": "import blocks", "blocks.py": "ACTIVATION = 'relu'"})
    hashes = CodeHashes(None)
    before = hashes.reached(["small"])
    write(current, {"blocks.py": "ACTIVATION = 'swish'"})
    assert hashes.reached(["small"])["blocks"] != before["blocks"]
