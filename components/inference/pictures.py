"""Pictures as a published model takes them: decoded and resized as its training images were."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from components.artifact_files import ModelInfo
from components.data.pictures.decoding import Unusable, decode, decode_bytes
from components.data.pictures.resizing import Resizing, Shape
from components.data.splits import Images


class Decoded(NamedTuple):
    """A picture as the model sees it; *channels* are those of its file: grey (1) becomes colour (3) and back."""

    image: Images  # uint8 (H, W, C)
    channels: int


def shape_of(info: ModelInfo) -> Shape:
    height, width, channels = info["input"]["shape"]
    return height, width, channels


def resizing_of(info: ModelInfo) -> Resizing:
    return Resizing(info["input"]["fit"], info["input"]["resize"])


def read(source: bytes | Path, info: ModelInfo) -> Decoded:
    """The picture in a file, or in its bytes; raises Unusable, which says why there is none."""
    if isinstance(source, bytes):
        picture = decode_bytes(source, shape_of(info), resizing_of(info))
        return Decoded(_pixels(picture.pixels, info), picture.channels)
    decoded = decode([str(source)], shape_of(info), resizing_of(info))
    if decoded.problems[0]:
        raise Unusable(decoded.problems[0])
    return Decoded(_pixels(decoded.pixels, info), decoded.channels[0])


def _pixels(pixels: bytes, info: ModelInfo) -> Images:
    return np.frombuffer(pixels, np.uint8).reshape(info["input"]["shape"])
