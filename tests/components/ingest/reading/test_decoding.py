"""Decoding: every bit depth of PNG, transparency, and files that fail while they are read."""

import os
import struct
import warnings
import zlib
from pathlib import Path

import pytest
from PIL import Image

from components.errors import DataRejected, Failure, SourceError, SourceUnreachable, Unavailable
from components.ingest.reading import decoding

GREY, RGB, GREY_ALPHA = 0, 2, 4


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, depth: int, colours: int, row: bytes, transparent: bytes = b"") -> bytes:
    """A PNG file of one row, with the colour that is *transparent* where there is one."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, colours, 0, 0, 0))
    colour = chunk(b"tRNS", transparent) if transparent else b""
    return b"\x89PNG\r\n\x1a\n" + header + colour + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")


def shorts(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


TRANSPARENT = {
    "1 bit": (png(8, 1, GREY, b"\x1b", shorts(1)), (1, 8, 1), [0, 0, 0, 255, 255, 0, 255, 255]),
    "2 bits": (png(4, 2, GREY, b"\x1b", shorts(1)), (1, 4, 1), [0, 255, 170, 255]),
    "4 bits": (png(4, 4, GREY, b"\x05\xaf", shorts(5)), (1, 4, 1), [0, 255, 170, 255]),
    "8 bits": (png(2, 8, GREY, b"\x07\x08", shorts(7)), (1, 2, 1), [255, 8]),
    "16 bits": (png(2, 16, GREY, shorts(1000, 2000), shorts(1000)), (1, 2, 1), [255, 8]),
    "16 bits, colour": (
        png(2, 16, RGB, shorts(1000, 0, 9, 514, 0, 9), shorts(1000, 0, 9)),
        (1, 2, 3),
        [255] * 3 + [2, 0, 0],
    ),
    "16 bits, alpha": (png(2, 16, GREY_ALPHA, shorts(1000, 0, 2056, 65535)), (1, 2, 1), [255, 8]),
}


@pytest.mark.parametrize("depth", TRANSPARENT)
def test_transparency_is_white_at_every_bit_depth(tmp_path: Path, depth: str) -> None:
    """A transparent colour has the depth of the file's values, not of the decoded ones."""
    data, shape, expected = TRANSPARENT[depth]
    (tmp_path / "clear.png").write_bytes(data)
    assert list(decoding.decode([str(tmp_path / "clear.png")], shape).pixels) == expected


@pytest.mark.parametrize(
    ("data", "channels", "brightest"),
    [
        (png(2, 16, GREY, shorts(0, 4095)), 1, [4095]),
        (png(2, 16, RGB, shorts(0, 0, 0, 4095, 12, 7)), 3, [4095]),
        (png(2, 16, GREY_ALPHA, shorts(0, 65535, 255, 65535)), 1, [255]),
        (png(2, 8, GREY, b"\x07\x08"), 1, []),
    ],
)
def test_the_brightest_value_of_16_bits_is_known(
    tmp_path: Path, data: bytes, channels: int, brightest: list[int]
) -> None:
    """Of colours the upper byte; how opaque a pixel is does not count."""
    (tmp_path / "wide.png").write_bytes(data)
    assert decoding.decode([str(tmp_path / "wide.png")], (1, 2, channels)).brightest == brightest


def test_a_fifo_in_the_place_of_an_image_is_refused_at_once(tmp_path: Path) -> None:
    """Between listing and reading a file can become anything; opening this one would wait for ever."""
    os.mkfifo(tmp_path / "pipe.png")
    for read in (decoding.survey, lambda paths: decoding.decode(paths, (1, 1, 1))):
        with pytest.raises(SourceError, match=r"pipe\.png is not a regular file; remove it"):
            read([str(tmp_path / "pipe.png")])


def test_damaged_metadata_is_no_damaged_image(tmp_path: Path) -> None:
    """Cameras and editors write such EXIF; Pillow's warning of it would stand on the screen without a name."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x64\0"  # promises a hundred entries
    Image.new("L", (4, 2), 90).save(tmp_path / "x.jpg", exif=exif)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert decoding.decode([str(tmp_path / "x.jpg")], (2, 4, 1)).pixels == bytes([90] * 8)
    assert caught == []


@pytest.mark.parametrize(
    ("error", "failure", "message"),
    [
        (OSError(5, "Input/output error"), SourceUnreachable, "cannot be read: Input/output error; check the disk"),
        (PermissionError(13, "Permission denied"), SourceError, "permission denied; make it readable"),
        (FileNotFoundError(2, "No such file"), SourceUnreachable, "disappeared while it was being read"),
        (MemoryError(), Unavailable, "too little memory to decode"),
        (OSError("image file is truncated"), DataRejected, r"cannot be read as PNG or JPEG \(image file is truncated"),
        (RecursionError("too deep"), DataRejected, "cannot be read as PNG or JPEG"),
    ],
)
def test_a_failing_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, failure: type[Failure], message: str
) -> None:
    """A broken disk may be mended and is no bad image; a bad image stays one."""

    def broken(*_: object, **__: object) -> None:
        raise error

    (tmp_path / "x.png").write_bytes(png(2, 8, GREY, b"\x07\x08"))
    monkeypatch.setattr(Image, "open", broken)
    with pytest.raises(failure, match=message) as caught:
        decoding.decode([str(tmp_path / "x.png")], (1, 2, 1))
    assert "x.png" in str(caught.value)
