"""Decode PNG and JPEG files to uint8 pixels, grey or colour, of one size.

- EXIF orientation is applied.
- Transparent images are composited on white.
- 16-bit grey is scaled to 8 bits; palettes, CMYK and the like become RGB.
- Images are resized by Lanczos resampling; their aspect ratio is not kept, as in
  keras.utils.image_dataset_from_directory.
"""

import hashlib
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from components.errors import DataRejected, Failure, SourceError, SourceUnreachable

if TYPE_CHECKING:
    from components.data.splits import Images
    from components.ingest.reading.image_source import Shape

GREY = {"1", "L", "LA", "I", "I;16", "I;16B", "F"}
ORIENTATION, TRANSPOSED = 0x0112, range(5, 9)  # EXIF tag, and its values that swap height and width
# 50 million pixels take 200 MB once decoded, and a PNG of 389 KB can promise 100 million.
MAX_PIXELS = 50_000_000


def survey(paths: Sequence[str]) -> "list[Shape]":
    """(H, W, C) of each image from its header alone; raises DataRejected where it is no image, or too large."""
    shapes = []
    for path in paths:
        with _failures(path), _opened(path, path) as image:
            swapped = _orientation(image) in TRANSPOSED
            height, width = (image.width, image.height) if swapped else (image.height, image.width)
            shapes.append((height, width, 1 if image.mode in GREY else 3))
    return shapes


def decode(paths: Sequence[str], shape: "Shape") -> tuple[bytes, list[str]]:
    """The pixels of each image as *shape* (H, W, C), one after the other, and the sha256 of each file's bytes."""
    pixels, hashes = [], []
    for path in paths:
        with _failures(path):
            with io.FileIO(path) as file:
                data = file.readall()
            hashes.append(hashlib.sha256(data).hexdigest())
            with _opened(path, io.BytesIO(data)) as image:
                pixels.append(_pixels(_upright(image, 2 * max(shape[:2])), shape))
    return b"".join(pixels), hashes


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
    if image.mode.startswith("I"):  # 16 bits; a direct conversion to L would clip at 255, not scale
        image = image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
    elif image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        image = Image.new("RGB", image.size, "white")
        image.paste(with_alpha, mask=with_alpha.getchannel("A"))
    return image if image.mode == mode else image.convert(mode)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation where the header has one; 1 is upright."""
    return image.getexif().get(ORIENTATION, 1) if image.format == "JPEG" or "exif" in image.info else 1


@contextmanager
def _opened(path: str, source: str | io.BytesIO) -> Iterator[Image.Image]:
    """The image in *source*, its header read and its size checked."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)  # Pillow warns from 89 million pixels on
        image = Image.open(source, formats=("PNG", "JPEG"))
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise DataRejected(f"{path} would decode to {image.width:,} x {image.height:,} pixels; {_limit()}")
        yield image


@contextmanager
def _failures(path: str) -> Iterator[None]:
    """Turn whatever reading *path* may raise into a failure with a message."""
    try:
        yield
    except (Failure, MemoryError):
        raise
    except FileNotFoundError:
        raise SourceUnreachable(f"{path} disappeared while it was being read; run it again") from None
    except PermissionError:
        raise SourceError(f"{path} cannot be read: permission denied; make it readable") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataRejected(f"{path} would decode to too many pixels; {_limit()}") from None
    except Exception as error:  # hostile bytes can make a decoder raise anything
        reason = "not an image" if type(error).__name__ == "UnidentifiedImageError" else error
        raise DataRejected(f"{path} cannot be read as PNG or JPEG ({reason}); fix or remove it") from None


def _limit() -> str:
    return f"expected at most {MAX_PIXELS:,}; scale it down or remove it"
