"""Which errors of the system are the workspace's disk, worth a retry, and which are bugs."""

import errno
import os
from pathlib import Path

import pytest

from components.errors import StorageFailed
from pipeline.store.disk_errors import storage_errors


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
        pytest.raises(StorageFailed, match=rf"cannot write to {path} .*PIPELINE_HOME"),
        storage_errors(tmp_path / "home"),
    ):
        raise raised(number, path)


def test_a_folder_elsewhere_is_not_the_workspace(tmp_path: Path) -> None:
    """A stage that may not read its images is not cured by another PIPELINE_HOME."""
    with pytest.raises(PermissionError), storage_errors(tmp_path / "home"):
        raise raised(errno.EACCES, tmp_path / "images" / "1.png")


def test_a_full_disk_is_reported_without_a_file_name(tmp_path: Path) -> None:
    """A write that fails names no file."""
    with pytest.raises(StorageFailed, match=f"the disk of {tmp_path} is full"), storage_errors(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
