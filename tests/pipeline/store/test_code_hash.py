"""Hashes of code: what counts, and when a remembered hash is used."""

import json
import os
import time
from pathlib import Path

import pytest

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
    assert before.keys() == remembered(cache) == {"theirs.net", "theirs.size"}
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
    assert remembered(cache) == {"theirs.net"}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"made_by": "another", "modules": {"theirs.size": 1}}'])
def test_a_cache_that_cannot_be_used_is_written_again(theirs: Path, cache: Path, content: str) -> None:
    """Damaged, or written by other code: the hashes are computed."""
    (cache / FILE).write_text(content)
    assert reached(cache) == reached(None)
    assert remembered(cache) == {"theirs.net", "theirs.size"}


def test_a_workspace_that_cannot_be_written_changes_no_hash(theirs: Path, tmp_path: Path) -> None:
    """`explain` and `settings` look before anything is made."""
    assert reached(tmp_path / "missing") == reached(None)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "promote"])
def test_no_stage_reaches_a_verdict(stage: str) -> None:
    """A check is judged again on every run, so no change to one may make an artifact again; promote judges itself."""
    modules = CodeHashes(None).reached([f"components.{stage}.stage"], outside=())
    assert not {name for name in modules if name.endswith(".check") or name == "components.findings"}
