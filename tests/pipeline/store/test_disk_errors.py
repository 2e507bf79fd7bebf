"""Which errors of the system are the workspace's disk, worth a retry, and which are bugs."""

import errno
import os
from pathlib import Path

import pytest

from components.errors import StorageFailed
from pipeline.store.disk_errors import FAILING, storage_errors


def raised(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EEXIST, errno.EISDIR])
def test_a_missing_file_or_one_in_the_way_is_a_bug(tmp_path: Path, number: int) -> None:
    """It keeps its class and its traceback, and Airflow does not retry it."""
    with pytest.raises(OSError, match="file") as caught, storage_errors(tmp_path):
        raise raised(number, tmp_path / "file")
    assert caught.value.errno == number


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR])
@pytest.mark.parametrize("place", ["home", "home/artifacts/train", "."])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, number: int, place: str) -> None:
    """The workspace, a folder in it, and the folder that it lies in."""
    path = (tmp_path / place).resolve()
    with (
        pytest.raises(StorageFailed, match=rf"cannot use {path} .*PIPELINE_HOME"),
        storage_errors(tmp_path / "home"),
    ):
        raise raised(number, path)


def test_a_folder_elsewhere_is_not_the_workspace(tmp_path: Path) -> None:
    """A stage that may not read its images is not cured by another PIPELINE_HOME."""
    with pytest.raises(PermissionError), storage_errors(tmp_path / "home"):
        raise raised(errno.EACCES, tmp_path / "images" / "1.png")


def test_a_copy_from_elsewhere_that_fills_the_workspace_is_a_full_disk(tmp_path: Path) -> None:
    """shutil.copyfile names its source first; such an error may come from a quota, on a disk with space."""
    copied = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "elsewhere/model", None, str(tmp_path / "model"))
    with pytest.raises(StorageFailed, match=f"the disk of {tmp_path} is full"), storage_errors(tmp_path):
        raise copied


@pytest.mark.parametrize("number", sorted(FAILING))
@pytest.mark.parametrize("place", ["home/artifacts/train/file", "images/1.png", ""])
def test_a_failing_disk_is_no_bug(tmp_path: Path, number: int, place: str) -> None:
    """A read error is reported with its path, the workspace's or not, and worth a retry; it has no traceback."""
    error = raised(number, tmp_path / place) if place else OSError(number, os.strerror(number))
    named = tmp_path / place if place else tmp_path / "home"
    with pytest.raises(StorageFailed, match=f"the disk failed at {named} "), storage_errors(tmp_path / "home"):
        raise error


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.ECONNREFUSED, None])
def test_an_error_without_a_path_is_the_disk_only_where_a_write_can_raise_it(
    tmp_path: Path, number: int | None
) -> None:
    """A process that may not be signalled, or a server that refuses, has nothing to do with the workspace."""
    with pytest.raises(OSError, match="no") as caught, storage_errors(tmp_path):
        raise OSError(number, "no") if number else OSError("no")
    assert not isinstance(caught.value, StorageFailed)


def test_the_full_disk_is_the_one_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write names no file: of the workspace and TMPDIR the one without space is named."""
    scratch = tmp_path / "scratch"
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setattr("pipeline.store.disk_errors._is_full", lambda folder: folder == scratch)
    with pytest.raises(StorageFailed, match=f"the disk of {scratch} is full.*TMPDIR"), storage_errors(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_reported_without_a_file_name(tmp_path: Path) -> None:
    """A write that fails names no file."""
    with pytest.raises(StorageFailed, match=f"the disk of {tmp_path} is full"), storage_errors(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
