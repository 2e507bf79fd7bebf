"""Bombs among model files: none is read that promises far more than its bytes."""

import io
import re
import resource
import zipfile
from pathlib import Path

import h5py
import pytest

from components.errors import ArtifactCorrupt
from components.models.file_bounds import require_sound, require_stored_weights
from components.models.saving import read_classes, read_model
from components.system.tensorflow import tensorflow


def model_file(path: Path, weights: bytes, config: bytes = b"{}") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", weights)
        archive.writestr("metadata.json", b"{}")
    return path


def hdf5(shape: tuple[int, ...]) -> bytes:
    """A file of a kilobyte that declares an array of *shape*, none of which it stores."""
    with h5py.File(content := io.BytesIO(), "w") as file:
        file.create_dataset("layers/dense/vars/0", shape, "float32", chunks=True)
    return content.getvalue()


BOMBS = {
    "zip": (bytes(65 * 2**20), b"{}", r"it would unpack to 68,1[\d,]+ bytes from .*, a decompression bomb"),
    "JSON": (hdf5((3, 4)), b" " * (17 * 2**20), r"config\.json has 17,825,792 bytes; expected at most 16,777,216"),
    "HDF5": (hdf5((2**20, 2**20)), b"{}", r"model\.weights\.h5 declares 4,398,046,511,104 bytes from [\d,]+, a decomp"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path, bomb: str) -> None:
    """A teacher, a champion or a copy in the registry may be anybody's file."""
    weights, config, message = BOMBS[bomb]
    path = model_file(tmp_path / "model.keras", weights, config)
    assert path.stat().st_size < 400_000
    del weights, config
    tensorflow()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ArtifactCorrupt, match=rf"{re.escape(str(path))} cannot be read as a Keras model: .*{message}"):
        read_model(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 2**10  # KiB


def test_what_stores_what_it_declares_is_sound(tmp_path: Path) -> None:
    """Whether deflated or not."""
    for name, compression in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(tmp_path / name, "w", compression) as archive:
            archive.writestr("model.weights.h5", hdf5((30, 40)))
        require_sound(tmp_path / name)
        require_stored_weights(tmp_path / name)


def test_a_damaged_directory_is_a_damaged_file(tmp_path: Path) -> None:
    """An encrypted member and an unknown method of compression raise errors of their own."""
    path = model_file(tmp_path / "model.keras", hdf5((3, 4)))
    for offset, value in ((8, 1), (10, 99)):  # flags and method of the last member
        content = bytearray(path.read_bytes())
        entry = content.rindex(b"PK\x01\x02")
        content[entry + offset] = value
        (tmp_path / "odd.keras").write_bytes(content)
        with pytest.raises(ArtifactCorrupt, match=r"odd\.keras cannot be read as a Keras model"):
            read_classes(tmp_path / "odd.keras")
