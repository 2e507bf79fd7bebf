"""The event files of TensorBoard: where they cannot be written, the reason is the system's."""

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest

from components.system.tensorflow import tensorflow
from components.train.tensorboard import EventWriter, file_errors
from tests.support.small_disk import disk

EPOCH = 0, {"loss": 0.5, "val_loss": 0.4}, {"dense/kernel": np.zeros((3, 2), np.float32)}


def write_to_a_full_disk(logs: Path) -> None:
    with EventWriter(logs) as events:
        (logs / "filler").write_bytes(bytes(shutil.disk_usage(logs).free))
        for _ in range(1000):
            events.write(*EPOCH)


def test_a_full_disk_is_an_error_of_the_disk(tmp_path: Path) -> None:
    """TensorFlow's own error is the one by which it also says that memory is exhausted."""
    with disk(tmp_path / "disk", "1m") as logs, pytest.raises(OSError, match="No space left on device") as raised:
        write_to_a_full_disk(logs)
    assert raised.value.errno == errno.ENOSPC


def test_a_folder_that_cannot_be_made_is_an_error_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("")
    with pytest.raises(OSError, match=r"Not a directory: '.*logs'") as raised:
        EventWriter(tmp_path / "logs")
    assert raised.value.errno == errno.ENOTDIR


def test_a_reason_that_the_system_does_not_know_is_said_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the writer is closed") as raised, file_errors(tmp_path):
        raise tensorflow().errors.UnknownError(None, None, "{{node x}} the writer is closed\nmore")
    assert raised.value.errno == errno.EIO
