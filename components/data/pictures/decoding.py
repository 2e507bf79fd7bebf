"""Decode image files (PNG, JPEG, WebP, BMP, TIFF) to uint8 pixels, grey or colour, of one size.

- EXIF orientation is applied.
- Transparent images are composited on white, of whatever bit depth.
- 16-bit grey is scaled to 8 bits; palettes, CMYK and the like become RGB.
- Of several pages or frames the first is read.
- Images are resized by the filter ingest.resize. Where the aspect ratio differs, ingest.fit decides: `pad` keeps all of
  the image and repeats its edge pixels around it, `crop` fills the frame and cuts off what is outside of its centre,
  `stretch` changes the aspect ratio.

simplejpeg 1.9 decodes a JPEG of 500 x 375 to the same pixels in half of Pillow's time, but Pillow has to convert them
before it resizes them: together that was 0.9 to 1.04 times as fast as Pillow alone, so simplejpeg is not used.
"""

import hashlib
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from PIL import Image, ImageOps, UnidentifiedImageError

from components.data.pictures.picture_files import too_large
from components.data.pictures.read_errors import DENIED, read_errors
from components.errors import Unavailable
from components.system.files import NotRegular, open_regular
from components.system.streams import no_stderr

if TYPE_CHECKING:
    from components.data.pictures.resizing import Resizing, Shape
    from components.data.splits import Images

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
GREY = {"1", "L", "LA", "I", "I;16", "I;16B", "F"}
ORIENTATION, TRANSPOSED = 0x0112, range(5, 9)  # EXIF tag, and its values that swap height and width
# 100 million pixels take 400 MB once decoded, and a PNG of 389 KB can promise them.
MAX_PIXELS = 100_000_000
REDUCED_PIXELS = 50_000_000  # larger images are reduced before any copy of them is made
DEPTH_BYTE = 24  # of a PNG file: the bits of each value
LONGEST_REASON = 100  # characters
OF_FILE = (PermissionError, IsADirectoryError, NotRegular)  # the system's errors that a retry meets again
IN_MEMORY = "the picture"  # what messages call an image that is no file


class Unusable(Exception):
    """Why a file is no image that can be read: a few words that follow its name."""


class Header(NamedTuple):
    """What the header of an image file says."""

    shape: "Shape"  # (H, W, C), upright
    pages: bool  # whether it has several pages or frames


class Surveyed(NamedTuple):
    """What the headers of files say, in the order of the files."""

    shapes: "list[Shape]"  # (H, W, C); (0, 0, 0) where the file cannot be used
    problems: list[str]  # why it cannot, "" where it can
    pages: list[bool]  # whether it has several pages or frames


class Picture(NamedTuple):
    """A decoded image file."""

    pixels: bytes  # uint8 (H, W, C)
    channels: int  # of the file: 1 or 3
    brightest: int | None = None  # value, up to 65,535, where the file has 16 bits


class Decoded(NamedTuple):
    """What files hold, in the order of the files."""

    pixels: bytes  # of those that can be used
    problems: list[str]  # why a file cannot be used, "" where it can
    sha256: list[str]  # of each file's bytes; why it cannot be read, where they are unknown
    brightest: list[int]  # value, up to 65,535, of each image of 16 bits
    channels: list[int]  # 1 or 3, of each file that can be used


def read_header(data: bytes) -> Header:
    """The header of an image file that is *data*; raises Unusable."""
    with _failures(IN_MEMORY):
        return _header(io.BytesIO(data))


def decode_bytes(data: bytes, shape: "Shape", resizing: "Resizing") -> Picture:
    """The image file that is *data*, as *shape* (H, W, C); raises Unusable."""
    with _failures(IN_MEMORY):
        return _decoded(data, shape, resizing)


def survey(paths: Sequence[str]) -> Surveyed:
    """(H, W, C) of each image from its header alone."""
    surveyed = Surveyed([], [], [])
    for path in paths:
        header, problem = Header((0, 0, 0), False), ""
        try:
            with _failures(path), open_regular(path) as file:
                header = _header(file)
        except Unusable as error:
            problem = str(error)
        surveyed.shapes.append(header.shape)
        surveyed.problems.append(problem)
        surveyed.pages.append(header.pages)
    return surveyed


def _header(source: IO[bytes]) -> Header:
    with _opened(source) as image:
        swapped = _orientation(image) in TRANSPOSED
        height, width = (image.width, image.height) if swapped else (image.height, image.width)
        return Header((height, width, _channels(image)), _has_pages(image))


def _channels(image: Image.Image) -> int:
    return 1 if image.mode in GREY else 3


def decode(paths: Sequence[str], shape: "Shape", resizing: "Resizing", *, tolerant: bool = False) -> Decoded:
    """The pixels of each image as *shape* (H, W, C), and what else its file says.

    A file that the system does not give is a failure, unless *tolerant*: then it is one that cannot be used, too.
    """
    pixels, decoded = [], Decoded(b"", [], [], [], [])
    for path in paths:
        data, problem = None, ""
        try:
            with _failures(path, tolerant=tolerant):
                data = _content_of(path)
                picture = _decoded(data, shape, resizing)
            pixels.append(picture.pixels)
            decoded.channels.append(picture.channels)
            decoded.brightest.extend([] if picture.brightest is None else [picture.brightest])
        except Unusable as error:
            problem = str(error)
        decoded.problems.append(problem)
        decoded.sha256.append(problem if data is None else hashlib.sha256(data).hexdigest())
    return decoded._replace(pixels=b"".join(pixels))


def _content_of(path: str) -> bytes:
    with open_regular(path) as file:
        if reason := too_large(os.fstat(file.fileno()).st_size):
            raise Unusable(reason)
        return file.read()


def _decoded(data: bytes, shape: "Shape", resizing: "Resizing") -> Picture:
    """The image file *data*, as *shape*."""
    with _opened(io.BytesIO(data)) as image, no_stderr() if image.format == "TIFF" else nullcontext():  # of libtiff
        depth = data[DEPTH_BYTE] if image.format == "PNG" else 16 if image.mode.startswith("I;16") else 8
        channels = _channels(image)
        upright = _upright(image, 2 * max(shape[:2]))
        _scale_transparency(upright, depth)
        pixels = _pixels(upright, shape, resizing)
        return Picture(pixels, channels, _brightest(upright) if depth == 16 else None)


def _brightest(image: Image.Image) -> int:
    """The brightest value of *image*, of 16 bits; Pillow keeps the upper 8 of colours, the most they can be counts."""
    if image.mode.startswith("I"):
        return int(cast("tuple[int, int]", image.getextrema())[1])
    return 256 * max(int(high) for _, high in cast("list[tuple[int, int]]", image.getextrema())[:3]) + 255


def _scale_transparency(image: Image.Image, depth: int) -> None:
    """Scale the transparent colour of a PNG to 8 bits, as Pillow does with the pixels that it is compared with."""
    colour = image.info.get("transparency")
    if isinstance(colour, int) and image.mode == "L":
        image.info["transparency"] = colour * 255 // (2**depth - 1)
    elif isinstance(colour, tuple) and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in colour)


def _upright(image: Image.Image, enough: int) -> Image.Image:
    """*image* upright; a large JPEG at the half, quarter or eighth that still has *enough* pixels a side."""
    image.draft(None, (enough, enough))
    image = _reduced(image, enough)
    return ImageOps.exif_transpose(image) if _orientation(image) != 1 else image


def _reduced(image: Image.Image, enough: int) -> Image.Image:
    """*image*, averaged to fewer pixels where it has so many that copies of it would exhaust the memory."""
    factor = min(image.size) // enough
    if factor < 2 or image.width * image.height <= REDUCED_PIXELS:
        return image
    image = _reducible(image)
    reduced = image.reduce(factor)
    reduced.info = image.info  # the transparent colour
    return reduced


def _reducible(image: Image.Image) -> Image.Image:
    """*image* in a mode of which Pillow can average pixels."""
    if image.mode.startswith("I;16"):
        return image.convert("I")
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.convert("L") if image.mode == "1" else image


def resized(images: "Images", shape: "Shape", resizing: "Resizing") -> "Images":
    """*images* uint8 (n, H, W, C) as uint8 (n, *shape)."""
    if images.shape[1:] == shape:
        return images
    import numpy as np

    grey = images.shape[-1] == 1
    pixels = b"".join(_pixels(Image.fromarray(image[..., 0] if grey else image), shape, resizing) for image in images)
    return np.frombuffer(pixels, np.uint8).reshape(len(images), *shape)


def _pixels(image: Image.Image, shape: "Shape", resizing: "Resizing") -> bytes:
    height, width, channels = shape
    flat = _flat(image, "L" if channels == 1 else "RGB")
    return (flat if flat.size == (width, height) else _fitted(flat, (width, height), resizing)).tobytes()


def _fitted(image: Image.Image, size: tuple[int, int], resizing: "Resizing") -> Image.Image:
    """*image*, L or RGB, resized to (width, height) *size*."""
    (width, height), (fit, name) = size, resizing
    resample = Image.Resampling[name.upper()]
    if fit == "crop":
        return ImageOps.fit(image, size, resample)
    if fit == "stretch":
        return image.resize(size, resample)
    scale = min(width / image.width, height / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    whole = image.resize(inner, resample)
    return whole if inner == size else _padded(whole, size)


def _padded(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """*image* in the centre of *size*, its edge pixels repeated around it."""
    import numpy as np

    across, down = size[0] - image.width, size[1] - image.height
    sides = [(down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0)]
    pixels = np.asarray(image)
    return Image.fromarray(np.pad(pixels, sides[: pixels.ndim], mode="edge"))


def _flat(image: Image.Image, mode: str) -> Image.Image:
    """*image* in *mode*, L or RGB, without transparency."""
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    elif image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        image = Image.new("RGB", image.size, "white")
        image.paste(with_alpha, mask=with_alpha.getchannel("A"))
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    """*image*, grey of 16 bits, scaled to 8: a direct conversion would clip at 255. What is transparent is white."""
    wide = image.convert("I")
    grey = wide.point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if isinstance(colour := image.info.get("transparency"), int):
        import numpy as np

        return Image.fromarray(np.where(np.asarray(wide) == colour, np.uint8(255), np.asarray(grey)))
    return grey


def _orientation(image: Image.Image) -> int:
    """EXIF orientation where the header has one; 1 is upright."""
    return image.getexif().get(ORIENTATION, 1) if image.format == "JPEG" or "exif" in image.info else 1


def _has_pages(image: Image.Image) -> bool:
    """Whether *image* has several pages or frames; those of a TIFF file are not counted, which would read them all."""
    if image.format != "TIFF":
        return bool(getattr(image, "is_animated", False)) and image.format != "MPO"  # a JPEG with its preview
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


@contextmanager
def _opened(source: IO[bytes]) -> Iterator[Image.Image]:
    """The image in *source*, its header read and its size checked."""
    with _identified(source) as image:
        if image.width * image.height > MAX_PIXELS:
            raise Unusable(f"{image.width:,} x {image.height:,} pixels; expected at most {MAX_PIXELS:,}")
        if image.mode in ("I", "F") and image.format == "TIFF":
            raise Unusable("32 bits per value; expected 8 or 16")
        yield image


def _identified(source: IO[bytes]) -> Image.Image:
    try:
        return Image.open(source, formats=FORMATS)
    except UnidentifiedImageError:
        source.seek(0)
        raise Unusable(_content(source.read(16).lstrip())) from None


def _content(head: bytes) -> str:
    """What a file that begins with *head*, and is no image, holds: downloads are often something else."""
    if not head:
        return "empty"
    if head.startswith(b"GIF8"):
        return "a GIF image"
    if head[4:8] == b"ftyp":
        return "a HEIC or AVIF image, or a video"
    return "a web page" if head.startswith(b"<") else "not an image"


@contextmanager
def _failures(path: str, *, tolerant: bool = False) -> Iterator[None]:
    """Turn whatever reading *path* may raise into Unusable, where a retry would fail too, or into a failure."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of Pillow, of damaged metadata
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # from 89 million pixels on
            yield
    except Unusable:
        raise
    except Exception as error:  # hostile bytes can make a decoder raise anything
        if not tolerant:
            _raise_failure(error, path)
        raise Unusable(_reason(error)) from None


def _raise_failure(error: Exception, path: str) -> None:
    """Raise a Failure where not the file *path* is to blame for *error*, but the system."""
    if isinstance(error, MemoryError):
        raise Unavailable(f"there is too little memory to decode {path}; free some, and run it again") from None
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, OF_FILE):
        with read_errors(path):
            raise error


def _reason(error: Exception) -> str:
    match error:
        case MemoryError():
            return "there is too little memory to decode it"
        case Image.DecompressionBombError():
            return f"too many pixels; expected at most {MAX_PIXELS:,}"
        case PermissionError():
            return DENIED
        case IsADirectoryError() | NotRegular():
            return "not a regular file"
        case OSError(strerror=str(text)):
            return text.lower()
    return " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__
