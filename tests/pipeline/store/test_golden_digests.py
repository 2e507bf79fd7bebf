"""The bytes of the data stages, written down: a change that moves them has to be meant.

With the versions of requirements.lock: NumPy 2.4 (2.5 from Python 3.12 on), Pillow 13.0.0, scikit-learn 1.9.1. Where a
newer library or a change on purpose moves a digest, every model is trained again: write the new digest here, and say so
in CHANGELOG.md.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.data.splits import Split
from components.ingest import select
from components.ingest.stage import ingest
from components.normalize.stage import normalize
from components.settings.sections import Ingest, Normalize
from pipeline.store.artifact import digest_of, hash_files

DIGITS = {
    "ingest": "7103c84d00bc97d4bc51b26f53d29219b74e398c502f1ccb90798d046b301a3b",
    "normalize": "faae516be93593495a4f361843a5a96376cfeb27a19615a727ff98a7c6c987a8",
}
RESIZED = {"pad": "db86ab3217d848b8", "crop": "e9e7bce350cb9f4a", "stretch": "df7e5b518f62351b"}


def digest(folder: Path) -> str:
    """The digest that the store would give *folder*."""
    return digest_of(hash_files(folder))


def test_the_digits_have_the_bytes_that_they_always_had(tmp_path: Path) -> None:
    """Enlarged by Pillow, split, written, held out and scaled."""
    source = Ingest(source="digits")
    for name in DIGITS:
        (tmp_path / name).mkdir()
    ingest(tmp_path / "ingest", source, select.fingerprint(source, tmp_path), tmp_path / "cache")
    normalize(tmp_path / "ingest", tmp_path / "normalize", Normalize())
    assert {name: digest(tmp_path / name) for name in DIGITS} == DIGITS


@pytest.mark.parametrize("fit", RESIZED)
def test_images_of_a_folder_have_the_pixels_that_they_always_had(tmp_path: Path, fit: str) -> None:
    """Colour images of several sizes, resized with the usual filter, in the order and the splits that they had."""
    rng = np.random.default_rng(0)
    for number in range(24):
        pixels = rng.integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)
        folder = tmp_path / "pets" / ("train", "test")[number % 3 // 2] / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (tmp_path / "out").mkdir()
    params = Ingest(source=str(tmp_path / "pets"), image_size=16, fit=fit)
    ingest(tmp_path / "out", params, select.fingerprint(params, tmp_path / "cache"), tmp_path / "cache")
    whole = hashlib.sha256()
    for name in ("train", "test"):
        split = Split(tmp_path / "out" / name)
        whole.update(split.images().tobytes() + split.labels.astype("<i8").tobytes())
    assert whole.hexdigest()[:16] == RESIZED[fit]
