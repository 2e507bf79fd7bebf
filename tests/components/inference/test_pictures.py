"""Pictures as a model takes them: from a file or from bytes, as ingest reads them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.data.pictures import decoding
from components.data.pictures.decoding import Unusable
from components.data.pictures.resizing import Resizing
from components.inference import pictures
from tests.support import published_model


def png(mode: str, size: tuple[int, int] = (7, 5)) -> bytes:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*size[::-1], 3)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(4, 4, 1), (4, 4, 3), (9, 6, 1)])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_bytes_and_files_give_the_pixels_that_ingest_gives(
    tmp_path: Path, mode: str, shape: tuple[int, int, int]
) -> None:
    """Grey for a model of colours, and back, included."""
    (tmp_path / "picture.png").write_bytes(png(mode))
    info = published_model.info(shape)
    info["input"]["fit"], info["input"]["resize"] = "crop", "box"
    ingested = decoding.decode([str(tmp_path / "picture.png")], shape, Resizing("crop", "box"))
    for source in (png(mode), tmp_path / "picture.png"):
        read = pictures.read(source, info)
        assert read.image.tobytes() == ingested.pixels
        assert (read.image.shape, read.channels) == (shape, 1 if mode in ("L", "1") else 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"<html>", "a web page"),
        (b"GIF89a" + b"\0" * 20, "a GIF image"),
        (b"no picture", "not an image"),
        (png("L")[:60], "truncated"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(tmp_path: Path, content: bytes, reason: str) -> None:
    """The same words for bytes and for a file."""
    (tmp_path / "picture.png").write_bytes(content)
    for source in (content, tmp_path / "picture.png"):
        with pytest.raises(Unusable, match=reason):
            pictures.read(source, published_model.info())
