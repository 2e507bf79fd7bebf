"""Zip files that others may have made: what they unpack to is known from their directory, before a byte is unpacked.

Python reads no more of a member than the directory says. Standard library only.
"""

import zipfile
from pathlib import Path

from components.system.files import open_regular

# Models and arrays are stored as they are, or shrink by a factor of 1 to 8: a factor of 1,000 is a bomb.
ALWAYS_FINE = 64 * 2**20
MAX_RATIO = 20


def require_bounded(path: Path, *, fine: int = ALWAYS_FINE) -> None:
    """Raise ValueError where *path* unpacks to more than *fine* bytes and MAX_RATIO times its size.

    Raises OSError where it is no regular file that can be read, and BadZipFile where it is no zip file.
    """
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    require_ratio("it would unpack to", unpacked, path.stat().st_size, fine=fine)


def require_ratio(what: str, promised: int, stored: int, *, fine: int = ALWAYS_FINE) -> None:
    """Raise ValueError where *stored* bytes promise *promised* ones, more than *fine*, and MAX_RATIO times as many."""
    bound = max(fine, MAX_RATIO * stored)
    if promised > bound:
        raise ValueError(f"{what} {promised:,} bytes from {stored:,}, a decompression bomb; expected at most {bound:,}")
