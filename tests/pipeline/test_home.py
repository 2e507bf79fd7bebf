"""The workspace: that it is created or refused in a sentence, and its locks."""

from pathlib import Path

import pytest

from components.errors import StorageFailed
from pipeline.home import Home


@pytest.mark.parametrize("place", ["dead link", "file", "file/below", "/proc/workspace"])
def test_a_workspace_that_cannot_be_created_is_refused_in_a_sentence(tmp_path: Path, place: str) -> None:
    """It names the folder and the variable, and no disk that is full."""
    (tmp_path / "file").touch()
    (tmp_path / "dead link").symlink_to(tmp_path / "gone" / "gone")
    with pytest.raises(StorageFailed, match=r"^(the workspace|cannot use) .*set PIPELINE_HOME to (a|another) folder"):
        Home(tmp_path / place).prepare()


@pytest.mark.parametrize(
    "name", ["registry-a/b", "registry-..", "../out", "a\0b", "x" * 300, "é" * 200, "a\udce9", "%2F"]
)
def test_a_lock_may_have_any_name(tmp_path: Path, name: str) -> None:
    """It is one file in the folder of locks, and nothing outside."""
    with Home(tmp_path / "home").lock(name):
        assert len(list((tmp_path / "home" / "locks").iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_two_names_are_two_locks(tmp_path: Path) -> None:
    """Also where they differ in what no file name can hold, or far behind."""
    names = ("a/b", "a%2Fb", "x" * 300, "x" * 300 + "y")
    for name in names:
        with Home(tmp_path).lock(name):
            pass
    assert len(list((tmp_path / "locks").iterdir())) == len(names)
