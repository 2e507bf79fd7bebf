"""Pictures of noise, each different: as the bytes of a PNG file, or in folders of classes."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def png(number: int) -> bytes:
    """A grey PNG file of 5 x 4 pixels, drawn by the seed *number*."""
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (4, 5), np.uint8)).save(data, "PNG")
    return data.getvalue()


def write_classes(folder: Path, each: int = 80, names: tuple[str, ...] = ("cats", "dogs")) -> Path:
    """Write *each* files NN.png of 8 x 8 pixels to every FOLDER/NAME."""
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for i in range(each):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / name / f"{i:02}.png")
    return folder
