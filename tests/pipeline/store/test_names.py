"""Names of files and artifacts: those that are safe to join to a folder, and those that are not."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.store.names import is_artifact, through_link, unsafe

UNSAFE = (
    "../x", "a/../../x", "..", ".", "", "a//b", "/etc/passwd", "a/", "./a", "a/./b", "C:/x", "c:x", "a\\..\\x", "\\x",
    "a\0b", "manifest.json", "x" * 256, "é" * 128, "caf\udce9",
)  # fmt: skip
SAFE = (
    "a",
    "a.b",
    "..a",
    "a..",
    "...",
    "variables/variables.data-00000-of-00001",
    "é/日本",
    "sub/manifest.json",
    "a b",
)


@pytest.mark.parametrize("name", UNSAFE)
def test_a_name_that_could_lead_elsewhere_is_unsafe(name: str) -> None:
    """Out of the folder, to no file, or onto the manifest."""
    assert unsafe(["good", name]) == name


def test_names_of_files_below_the_artifact_are_safe() -> None:
    """Folders, dots and letters of every language."""
    assert unsafe(SAFE) is None


def test_a_file_cannot_be_a_folder_too() -> None:
    """One of the two could not be written."""
    assert unsafe(["a", "a/b"]) == "a/b"
    assert unsafe(["a/b/c", "a", "a.b"]) == "a/b/c"
    assert unsafe(["a/b", "a-b"]) is None


@settings(max_examples=50)
@given(st.lists(st.text("abc./\\:é\0", max_size=6)))
def test_what_is_safe_stays_below_its_folder(names: list[str]) -> None:
    """Whatever the names are."""
    if unsafe(names) is None:
        assert all(Path("/store/artifact").joinpath(name).resolve().is_relative_to("/store/artifact") for name in names)


@pytest.mark.parametrize(
    ("stage", "key"),
    [("..", "0" * 16), ("train", ".."), ("train", "backup"), ("lost+found", "0" * 16), ("train", "0" * 15 + "/")],
)
def test_what_lies_beside_the_artifacts_is_none(stage: str, key: str) -> None:
    """A key is 16 hexadecimal digits."""
    assert not is_artifact(stage, key)
    assert is_artifact("train", "0123456789abcdef")


def test_a_link_on_the_way_is_seen(tmp_path: Path) -> None:
    """The file itself, and a folder that holds it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "link").symlink_to("real/file")
    assert [name for name in ("real/file", "folder/file", "link") if through_link(tmp_path, name)] == [
        "folder/file",
        "link",
    ]
