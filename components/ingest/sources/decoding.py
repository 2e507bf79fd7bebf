"""Pictures of any kind made into pixels of one kind: grey or colour, 8 bits, one size.

- EXIF orientation is honoured: a picture is read as people see it.
- Transparency is laid over white, as paper and browsers do.
- 16-bit grey is scaled to 8 bits; palettes, CMYK and the like become RGB.
- Another size is reached by Lanczos resampling of the whole picture; its aspect ratio is not kept, as
  keras.utils.image_dataset_from_directory does it.
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
    from components.ingest.sources.base import Shape

GREY = {"1", "L", "LA", "I", "I;16", "I;16B", "F"}
ORIENTATION, TRANSPOSED = 0x0112, range(5, 9)  # EXIF's tag, and its values that swap height and width
# 50 million pixels take 200 MB once decoded, and a PNG of 389 KB can promise 100 million.
MAX_PIXELS = 50_000_000


def survey(paths: Sequence[str]) -> "list[Shape]":
    """(H, W, C) of each picture from its header alone; raises DataRejected where it is none, or one too large."""
    shapes = []
    for path in paths:
        with _told(path), _opened(path, path) as image:
            swapped = _orientation(image) in TRANSPOSED
            height, width = (image.width, image.height) if swapped else (image.height, image.width)
            shapes.append((height, width, 1 if image.mode in GREY else 3))
    return shapes


def decode(paths: Sequence[str], shape: "Shape") -> tuple[bytes, list[str]]:
    """The pixels of each picture as *shape* (H, W, C), one after the other, and the sha256 of each file's bytes."""
    pixels, digests = [], []
    for path in paths:
        with _told(path):
            with io.FileIO(path) as file:
                data = file.readall()
            digests.append(hashlib.sha256(data).hexdigest())
            with _opened(path, io.BytesIO(data)) as image:
                pixels.append(_pixels(_upright(image, 2 * max(shape[:2])), shape))
    return b"".join(pixels), digests


def _upright(image: Image.Image, enough: int) -> Image.Image:
    """*image* as people see it; a large JPEG at the half, quarter or eighth that still has *enough* pixels a side."""
    image.draft(None, (enough, enough))
    return ImageOps.exif_transpose(image) if _orientation(image) != 1 else image


def fit(images: "Images", shape: "Shape") -> "Images":
    """*images* uint8 (n, H, W, C) as uint8 (n, *shape)."""
    if images.shape[1:] == shape:
        return images
    import numpy as np

    grey = images.shape[-1] == 1
    pixels = b"".join(_pixels(Image.fromarray(one[..., 0] if grey else one), shape) for one in images)
    return np.frombuffer(pixels, np.uint8).reshape(len(images), *shape)


def _pixels(image: Image.Image, shape: "Shape") -> bytes:
    height, width, channels = shape
    flat = _flat(image, "L" if channels == 1 else "RGB")
    if flat.size != (width, height):
        flat = flat.resize((width, height), Image.Resampling.LANCZOS)
    return flat.tobytes()


def _flat(image: Image.Image, mode: str) -> Image.Image:
    """*image* in *mode*, L or RGB, without transparency."""
    if image.mode.startswith("I"):  # 16 bits; converted straight to L it would be cut off at 255, not scaled
        image = image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
    elif image.has_transparency_data:
        seen = image.convert("RGBA")
        image = Image.new("RGB", image.size, "white")
        image.paste(seen, mask=seen.getchannel("A"))
    return image if image.mode == mode else image.convert(mode)


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation where the header has one; 1 is upright."""
    return image.getexif().get(ORIENTATION, 1) if image.format == "JPEG" or "exif" in image.info else 1


@contextmanager
def _opened(path: str, source: str | io.BytesIO) -> Iterator[Image.Image]:
    """The picture in *source*, its header read and its size checked."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)  # Pillow warns from 89 million pixels on
        image = Image.open(source, formats=("PNG", "JPEG"))
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise DataRejected(f"{path} would decode to {image.width:,} x {image.height:,} pixels; {_limit()}")
        yield image


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Turn what reading *path* may raise into one sentence about it."""
    try:
        yield
    except (Failure, MemoryError):
        raise
    except FileNotFoundError:
        raise SourceUnreachable(f"{path} went away while it was being read; run it again") from None
    except PermissionError:
        raise SourceError(f"{path} cannot be read: permission denied; give its reader the right to") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataRejected(f"{path} would decode to far too many pixels; {_limit()}") from None
    except Exception as error:  # hostile bytes can make a decoder raise anything
        reason = "no such picture" if type(error).__name__ == "UnidentifiedImageError" else error
        raise DataRejected(f"{path} cannot be read as PNG or JPEG ({reason}); mend it or remove it") from None


def _limit() -> str:
    return f"expected at most {MAX_PIXELS:,}; scale it down or remove it"
