"""PNG and JPEG files of a request, looked at before they are decoded: their header may promise gigabytes."""

import base64
import binascii
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from components.data.pictures.decoding import Unusable
from components.data.splits import Images
from components.inference import pictures
from serving.loaded_model import LoadedModel
from serving.messages import Refused
from serving.service import Service

PIXELS = 16_000_000
FORMATS = ("PNG", "JPEG")
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def is_picture(data: bytes) -> bool:
    """Whether *data* begins as a PNG or JPEG file does, whatever the client calls it."""
    return data.startswith(SIGNATURES)


def of_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "the picture is not base64; expected a PNG or JPEG file in base64") from None


def decode(files: Sequence[bytes], model: LoadedModel) -> Images:
    """The pictures as the model takes them, uint8 (N, H, W, C); raises Refused for what is none."""
    for data in files:
        expect_small(data)
    try:
        return np.stack([pictures.read(data, model.info).image for data in files])
    except Unusable as unusable:
        raise Refused(400, str(unusable)) from None


async def decoded(service: Service, files: Sequence[bytes], model: LoadedModel) -> Images:
    """What `decode` returns, from a thread: a large picture takes a second."""
    return await service.aside(decode, files, model)


def expect_small(data: bytes) -> None:
    """Raise Refused unless the header of *data* says that it is one PNG or JPEG picture of a bearable size."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            width, height = picture.size
            frames = getattr(picture, "n_frames", 1)
    except Image.DecompressionBombError:
        raise Refused(413, f"the picture is too large; send at most {PIXELS:,} pixels") from None
    except Exception:  # Pillow raises whatever a broken header leads it to
        raise Refused(400, "this is no PNG or JPEG picture") from None
    if width * height > PIXELS:
        raise Refused(413, f"the picture has {width} x {height} pixels; send at most {PIXELS:,}")
    if frames != 1:
        raise Refused(415, "the picture is animated; send one of its frames")
