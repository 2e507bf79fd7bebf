"""Folders are copied whole, or the copy says what the disk has done."""

import errno
from pathlib import Path

import pytest

from components.system.files import copy_folder


def test_a_folder_is_copied_with_those_in_it(tmp_path: Path) -> None:
    """Also with one that is empty."""
    (tmp_path / "source" / "variables").mkdir(parents=True)
    (tmp_path / "source" / "empty").mkdir()
    (tmp_path / "source" / "saved_model.pb").write_text("graph")
    (tmp_path / "source" / "variables" / "index").write_text("weights")
    copy = copy_folder(tmp_path / "source", tmp_path / "copy")
    files = {str(file.relative_to(copy)): file.read_text() for file in copy.rglob("*") if file.is_file()}
    assert files == {"saved_model.pb": "graph", "variables/index": "weights"}
    assert (copy / "empty").is_dir()


def test_a_copy_that_fails_raises_the_number_of_the_error(tmp_path: Path) -> None:
    """By which a full or failing disk is recognized."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "lost").symlink_to("nowhere")
    with pytest.raises(FileNotFoundError) as raised:
        copy_folder(tmp_path / "source", tmp_path / "copy")
    assert raised.value.errno == errno.ENOENT
