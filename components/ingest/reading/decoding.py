"""Decode PNG and JPEG files to uint8 pixels, grey or colour, of one size.

- EXIF orientation is applied.
- Transparent images are composited on white, of whatever bit depth.
- 16-bit grey is scaled to 8 bits; palettes, CMYK and the like become RGB.
- Images are resized by Lanczos resampling; their aspect ratio is not kept, as in
  keras.utils.image_dataset_from_directory.
"""

import hashlib
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from PIL import Image, ImageOps

from components.errors import DataRejected, Failure, Unavailable
from components.ingest.reading.read_errors import read_errors
from components.system.files import open_regular

if TYPE_CHECKING:
    from components.data.splits import Images
    from components.ingest.reading.image_source import Shape

GREY = {"1", "L", "LA", "I", "I;16", "I;16B", "F"}
ORIENTATION, TRANSPOSED = 0x0112, range(5, 9)  # EXIF tag, and its values that swap height and width
# 50 million pixels take 200 MB once decoded, and a PNG of 389 KB can promise 100 million.
MAX_PIXELS = 50_000_000
DEPTH_BYTE = 24  # of a PNG file: the bits of each value


class Decoded(NamedTuple):
    """What files hold, one after the other."""

    pixels: bytes
    sha256: list[str]  # of each file's bytes
    brightest: list[int]  # value, up to 65,535, of each image of 16 bits


def survey(paths: Sequence[str]) -> "list[Shape]":
    """(H, W, C) of each image from its header alone; raises DataRejected where it is no image, or too large."""
    shapes = []
    for path in paths:
        with _failures(path), open_regular(path) as file, _opened(path, file) as image:
            swapped = _orientation(image) in TRANSPOSED
            height, width = (image.width, image.height) if swapped else (image.height, image.width)
            shapes.append((height, width, 1 if image.mode in GREY else 3))
    return shapes


def decode(paths: Sequence[str], shape: "Shape") -> Decoded:
    """The pixels of each image as *shape* (H, W, C), and what else its file says."""
    pixels, hashes, brightest = [], [], []
    for path in paths:
        with _failures(path):
            with open_regular(path) as file:
                data = file.read()
            hashes.append(hashlib.sha256(data).hexdigest())
            with _opened(path, io.BytesIO(data)) as image:
                depth = data[DEPTH_BYTE] if image.format == "PNG" else 8
                upright = _upright(image, 2 * max(shape[:2]))
                _scale_transparency(upright, depth)
                if depth == 16:
                    brightest.append(_brightest(upright))
                pixels.append(_pixels(upright, shape))
    return Decoded(b"".join(pixels), hashes, brightest)


def _brightest(image: Image.Image) -> int:
    """The brightest value of *image*, of 16 bits; Pillow keeps the upper 8 of colours, the most they can be counts."""
    if image.mode == "I;16":
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
    return ImageOps.exif_transpose(image) if _orientation(image) != 1 else image


def fit(images: "Images", shape: "Shape") -> "Images":
    """*images* uint8 (n, H, W, C) as uint8 (n, *shape)."""
    if images.shape[1:] == shape:
        return images
    import numpy as np

    grey = images.shape[-1] == 1
    pixels = b"".join(_pixels(Image.fromarray(image[..., 0] if grey else image), shape) for image in images)
    return np.frombuffer(pixels, np.uint8).reshape(len(images), *shape)


def _pixels(image: Image.Image, shape: "Shape") -> bytes:
    height, width, channels = shape
    flat = _flat(image, "L" if channels == 1 else "RGB")
    if flat.size != (width, height):
        flat = flat.resize((width, height), Image.Resampling.LANCZOS)
    return flat.tobytes()


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


@contextmanager
def _opened(path: str, source: IO[bytes]) -> Iterator[Image.Image]:
    """The image in *source*, its header read and its size checked."""
    with Image.open(source, formats=("PNG", "JPEG")) as image:
        if image.width * image.height > MAX_PIXELS:
            raise DataRejected(f"{path} would decode to {image.width:,} x {image.height:,} pixels; {_limit()}")
        yield image


@contextmanager
def _failures(path: str) -> Iterator[None]:
    """Turn whatever reading *path* may raise into a failure with a message."""
    try:
        with read_errors(path), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of Pillow, of damaged metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)  # from 89 million pixels on
            yield
    except Failure:
        raise
    except MemoryError:
        raise Unavailable(f"there is too little memory to decode {path}; free some, and run it again") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataRejected(f"{path} would decode to too many pixels; {_limit()}") from None
    except Exception as error:  # hostile bytes can make a decoder raise anything
        reason = "not an image" if type(error).__name__ == "UnidentifiedImageError" else error
        raise DataRejected(f"{path} cannot be read as PNG or JPEG ({reason}); fix or remove it") from None


def _limit() -> str:
    return f"expected at most {MAX_PIXELS:,}; scale it down or remove it"
