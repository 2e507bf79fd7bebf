"""Archives are measured before they are unpacked."""

import os
import zipfile
from pathlib import Path

import pytest

from components.system.archives import require_bounded


def archive(path: Path, size: int, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as target:
        for part in ("a", "b"):
            target.writestr(part, bytes(size // 2))
    return path


def test_an_archive_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path: Path) -> None:
    """Its members are counted together; what is small in any case is fine."""
    bomb = archive(tmp_path / "bomb.zip", 2**22)
    with pytest.raises(ValueError, match=r"would unpack to 4,194,304 bytes from .*, a decompression bomb; expected at"):
        require_bounded(bomb, fine=2**20)
    require_bounded(bomb)


def test_an_archive_of_any_size_is_fine_where_its_bytes_are_its_own(tmp_path: Path) -> None:
    require_bounded(archive(tmp_path / "stored.zip", 2**20, zipfile.ZIP_STORED), fine=1)


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.keras")
    with pytest.raises(OSError, match="not a regular file"):
        require_bounded(tmp_path / "model.keras")
