"""Decoding: every bit depth of PNG, transparency, and files that fail while they are read."""

import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from components.data.pictures import decoding
from components.data.pictures.resizing import Resizing
from components.errors import Failure, SourceUnreachable, Unavailable
from components.settings.sections import FILTERS

PAD = Resizing()
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
    assert list(decoding.decode([str(tmp_path / "clear.png")], shape, PAD).pixels) == expected


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
    assert decoding.decode([str(tmp_path / "wide.png")], (1, 2, channels), PAD).brightest == brightest


def test_a_fifo_in_the_place_of_an_image_is_refused_at_once(tmp_path: Path) -> None:
    """Between listing and reading a file can become anything; opening this one would wait for ever."""
    os.mkfifo(tmp_path / "pipe.png")
    paths = [str(tmp_path / "pipe.png")]
    assert decoding.survey(paths).problems == decoding.decode(paths, (1, 1, 1), PAD).problems == ["not a regular file"]


def test_damaged_metadata_is_no_damaged_image(tmp_path: Path) -> None:
    """Cameras and editors write such EXIF; Pillow's warning of it would stand on the screen without a name."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x64\0"  # promises a hundred entries
    Image.new("L", (4, 2), 90).save(tmp_path / "x.jpg", exif=exif)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert decoding.decode([str(tmp_path / "x.jpg")], (2, 4, 1), PAD).pixels == bytes([90] * 8)
    assert caught == []


@pytest.mark.parametrize(
    ("error", "failure", "message"),
    [
        (OSError(5, "Input/output error"), SourceUnreachable, "cannot be read: Input/output error; check the disk"),
        (FileNotFoundError(2, "No such file"), SourceUnreachable, "disappeared while it was being read"),
        (MemoryError(), Unavailable, "too little memory to decode"),
    ],
)
def test_what_a_retry_may_cure_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, failure: type[Failure], message: str
) -> None:
    """A broken disk may be mended and is no bad image; the message names the file."""

    def broken(*_: object, **__: object) -> None:
        raise error

    (tmp_path / "x.png").write_bytes(png(2, 8, GREY, b"\x07\x08"))
    monkeypatch.setattr(Image, "open", broken)
    with pytest.raises(failure, match=message) as caught:
        decoding.decode([str(tmp_path / "x.png")], (1, 2, 1), PAD)
    assert "x.png" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("image file is truncated"), "image file is truncated"),
        (PermissionError(13, "Permission denied"), "permission denied"),
        (RecursionError("too\n deep"), "too deep"),
        (KeyError(), "KeyError"),
    ],
)
def test_what_is_wrong_with_a_file_is_a_few_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    """A decoder may raise anything; the files after it are read."""
    opened = Image.open

    def broken(source: Any, **options: Any) -> Image.Image:
        monkeypatch.setattr(Image, "open", opened)
        raise error

    paths = [str(tmp_path / name) for name in ("bad.png", "good.png")]
    for path in paths:
        Path(path).write_bytes(png(2, 8, GREY, b"\x07\x08"))
    monkeypatch.setattr(Image, "open", broken)
    decoded = decoding.decode(paths, (1, 2, 1), PAD)
    assert (decoded.problems, decoded.pixels) == ([reason, ""], b"\x07\x08")


COLUMNS = bytes([0, 100, 200, 255])


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("pad", [[0, 100, 200, 255]] * 4),
        ("crop", [[100, 200]] * 2),
        ("stretch", None),
    ],
)
def test_the_aspect_ratio_is_kept_unless_stretch_is_set(
    tmp_path: Path, fit: str, expected: "list[list[int]] | None"
) -> None:
    """A picture twice as wide as high: padded by its edge rows, cropped to its centre, or squashed."""
    Image.frombytes("L", (4, 2), COLUMNS * 2).save(tmp_path / "wide.png")
    side = 2 if fit == "crop" else 4
    pixels = decoding.decode([str(tmp_path / "wide.png")], (side, side, 1), Resizing(fit)).pixels
    rows = [list(pixels[start : start + side]) for start in range(0, side * side, side)]
    if expected:
        assert rows == expected
    else:
        assert rows == [list(COLUMNS)] * 4


def test_the_filter_is_a_setting() -> None:
    """Box averages what a pixel covers, exactly; every filter gives other pixels at an edge, and keeps one colour."""
    image = np.array([[0, 10, 200, 250]] * 4, np.uint8)[None, ..., None]
    halves = {name: decoding.resized(image, (2, 2, 1), Resizing("pad", name))[0, 0, :, 0].tolist() for name in FILTERS}
    assert halves["box"] == [5, 225]
    assert len({tuple(pixels) for pixels in halves.values()}) > 3
    grey = np.full((1, 9, 9, 1), 90, np.uint8)
    assert all((decoding.resized(grey, (4, 4, 1), Resizing("stretch", name)) == 90).all() for name in FILTERS)


def test_padding_keeps_all_of_an_image() -> None:
    """Two thirds of the rows above and below repeat the first and the last one; colours stay apart."""
    image = np.zeros((1, 2, 6, 3), np.uint8)
    image[0, 0], image[0, 1] = (250, 0, 0), (0, 0, 250)
    padded = decoding.resized(image, (6, 6, 3), PAD)[0]
    assert (padded[:3] == (250, 0, 0)).all()
    assert (padded[3:] == (0, 0, 250)).all()


@pytest.mark.parametrize("suffix", ["webp", "bmp", "tif"])
def test_other_formats_are_read_as_well(tmp_path: Path, suffix: str) -> None:
    """WebP, BMP and TIFF, without loss."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(pixels).save(tmp_path / f"x.{suffix}", **options)
    paths = [str(tmp_path / f"x.{suffix}")]
    assert decoding.survey(paths) == ([(5, 6, 3)], [""], [False])
    assert decoding.decode(paths, (5, 6, 3), PAD).pixels == pixels.tobytes()


def test_the_first_of_several_pages_is_read(tmp_path: Path) -> None:
    """Of a TIFF file, and of a moving WebP; the survey says which have more."""
    black, white = Image.new("L", (3, 2), 0), Image.new("L", (3, 2), 255)
    for name in ("x.tif", "x.webp"):
        black.save(tmp_path / name, save_all=True, append_images=[white])
    paths = [str(tmp_path / name) for name in ("x.tif", "x.webp")]
    assert decoding.survey(paths).pages == [True, True]
    assert decoding.decode(paths, (2, 3, 1), PAD).pixels == bytes(12)


@pytest.mark.parametrize(("mode", "problem"), [("I", "32 bits"), ("F", "32 bits"), ("I;16", "")])
def test_tiff_files_of_32_bits_are_refused(tmp_path: Path, mode: str, problem: str) -> None:
    """What range their values have is known to nobody; 16 bits are scaled, and their brightest value counts."""
    Image.new(mode, (2, 1), 257).save(tmp_path / "x.tif")
    paths = [str(tmp_path / "x.tif")]
    assert decoding.survey(paths).problems[0].startswith(problem)
    decoded = decoding.decode(paths, (1, 2, 1), PAD)
    assert (decoded.problems[0].startswith(problem), decoded.brightest) == (True, [] if problem else [257])
    assert decoded.pixels == (b"" if problem else b"\x01\x01")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1", "I;16", "CMYK"])
def test_large_images_are_averaged_before_copies_of_them_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Of every mode; the pixels are nearly those of an image that is small enough."""
    grey = np.linspace(0, 255, 90 * 120).reshape(90, 120)
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    if mode == "I;16":
        Image.fromarray((grey * 257).astype(np.uint16)).save(path)
    else:
        Image.fromarray(grey.astype(np.uint8)).convert(mode).save(path)
    expected = np.frombuffer(decoding.decode([str(path)], (9, 12, 1), PAD).pixels, np.uint8).astype(int)
    monkeypatch.setattr(decoding, "REDUCED_PIXELS", 90 * 120 - 1)
    reduced = decoding.decode([str(path)], (9, 12, 1), PAD)
    assert reduced.problems == [""]
    assert abs(np.frombuffer(reduced.pixels, np.uint8) - expected).max() < 12


def test_a_transparent_colour_survives_averaging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is white in a large image, too."""
    Image.new("P", (64, 64), 0).save(tmp_path / "x.png", transparency=0)
    monkeypatch.setattr(decoding, "REDUCED_PIXELS", 1)
    assert decoding.decode([str(tmp_path / "x.png")], (4, 4, 1), PAD).pixels == bytes([255] * 16)


def test_what_a_library_says_of_a_damaged_file_is_not_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The reason is part of the result."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.tif", compression="tiff_lzw")
    data = (tmp_path / "x.tif").read_bytes()
    (tmp_path / "x.tif").write_bytes(data[:200] + bytes([255]) * 300 + data[500:])
    assert decoding.decode([str(tmp_path / "x.tif")], (20, 30, 3), PAD).problems != [""]
    assert capfd.readouterr().err == ""


TURNED: dict[
    int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
] = {  # EXIF orientation -> how the camera stored what is upright
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: np.transpose,
    6: np.rot90,
    7: lambda upright: np.rot90(upright, 2).T,
    8: lambda upright: np.rot90(upright, 3),
}


@pytest.mark.parametrize("orientation", TURNED)
def test_every_orientation_of_exif_is_upright_once_read(tmp_path: Path, orientation: int) -> None:
    """Turned or mirrored: the size that the header gives, and the pixels, are those of the upright picture."""
    upright = np.array([[0, 80, 160], [200, 220, 240]], np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    exif = Image.Exif()
    exif[decoding.ORIENTATION] = orientation
    path = str(tmp_path / "photograph.jpg")
    Image.fromarray(TURNED[orientation](upright)).save(path, exif=exif, quality=100)
    assert decoding.survey([path]).shapes == [(16, 24, 1)]
    pixels = np.frombuffer(decoding.decode([path], (16, 24, 1), PAD).pixels, np.uint8).reshape(16, 24)
    np.testing.assert_allclose(pixels.astype(int), upright.astype(int), atol=6)
