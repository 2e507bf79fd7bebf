"""What a model file may make of its bytes, checked before Keras reads it: Keras' own bounds begin at 4 GiB."""

import io
import math
import zipfile
from pathlib import Path
from typing import Any

from components.system.archives import require_bounded, require_ratio
from components.system.files import open_regular

JSON_BYTES = 16 * 2**20


def require_sound(path: Path) -> None:
    """Raise ValueError where the model file *path*, a zip, or the JSON in it unpacks to far more than it should.

    Raises OSError or BadZipFile where it cannot be read.
    """
    require_bounded(path)
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.filename.endswith(".json") and member.file_size > JSON_BYTES:
                raise ValueError(f"{member.filename} has {member.file_size:,} bytes; expected at most {JSON_BYTES:,}")


def require_stored_weights(path: Path) -> None:
    """Raise ValueError where the HDF5 in the model file *path* declares arrays far larger than what it stores."""
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.filename.endswith(".h5"):
                require_ratio(f"{member.filename} declares", _declared(archive, member), member.file_size)


def _declared(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Bytes of the arrays in *member*, an HDF5 file."""
    import h5py

    sizes: list[int] = []

    def add(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(math.prod(item.shape or ()) * item.dtype.itemsize)

    stored = member.compress_type == zipfile.ZIP_STORED  # HDF5 jumps to and fro, which takes long where it is deflated
    with archive.open(member) as file, h5py.File(file if stored else io.BytesIO(file.read()), "r") as weights:
        weights.visititems(add)
    return sum(sizes)
