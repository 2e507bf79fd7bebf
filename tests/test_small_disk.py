"""The small file system for tests of full disks."""

import errno
import subprocess
from pathlib import Path

import pytest

from tests.support.small_disk import disk


def test_a_small_disk_is_full_at_its_size_and_leaves_nothing(tmp_path: Path) -> None:
    """Other processes see what is on it; the folder that it was mounted on stays empty."""
    with disk(tmp_path / "small", "16k") as small:
        subprocess.run(["sh", "-c", 'echo text >"$0"', small / "file"], check=True)
        assert (small / "file").read_text() == "text\n"
        with pytest.raises(OSError, match="No space left") as full:
            (small / "other").write_bytes(bytes(100_000))
        assert full.value.errno == errno.ENOSPC
        assert list((tmp_path / "small").iterdir()) == []
    assert not small.exists()
