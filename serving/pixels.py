"""Numbers of a request to uint8 images, never cast: 300 does not become 44, nor 0.5 a black pixel.

The quick way takes nested lists of whole numbers as they are decoded; anything else is looked at number by number, so
that the refusal names what is wrong.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Images
from serving.messages import Refused

Shape = tuple[int, ...]  # (H, W, C) of an image

BATCH = 1024  # images in one request
FRACTIONS = (
    "the pixels are fractions; send whole numbers from 0 to 255, as they are in the picture's file: the model scales "
    "them itself"
)


def of_rows(images: Sequence[Any], shape: Shape) -> Images:
    """Images as nested lists of whole numbers, uint8 (N, H, W, C); a grey image may leave its channel out."""
    expect_batch(len(images))
    try:
        flat = [_flat(image, _dimensions(image, shape)) for image in images]
    except (TypeError, ValueError, IndexError, KeyError):
        return of_numbers(images, shape)
    return np.frombuffer(flat[0] if len(flat) == 1 else b"".join(flat), np.uint8).reshape(len(images), *shape)


def _dimensions(image: Any, shape: Shape) -> Shape:
    return shape if shape[-1] != 1 or isinstance(image[0][0], list) else shape[:2]


def _flat(rows: Sequence[Any], dimensions: Shape) -> bytes:
    """The bytes of nested *rows*; raises ValueError or TypeError where they are not bytes of those dimensions."""
    if len(rows) != dimensions[0]:
        raise ValueError
    if len(dimensions) > 2:
        return b"".join([_flat(row, dimensions[1:]) for row in rows])
    if set(map(len, rows)) != {dimensions[1]}:
        raise ValueError
    return b"".join(map(bytes, rows))


def of_numbers(value: Any, shape: Shape) -> Images:
    """*value*, (N, H, W, C) or, of grey images, (N, H, W), as uint8; raises Refused with what is wrong with it."""
    try:
        numbers = np.asarray(value)
    except ValueError:
        raise Refused(400, f"the rows of an image differ in length; {expected(shape)}") from None
    if shape[-1] == 1 and numbers.shape[1:] == shape[:2]:
        numbers = numbers[..., None]
    if numbers.shape[1:] != shape:
        got = " x ".join(map(str, numbers.shape[1:])) or "numbers without rows"
        raise Refused(400, f"{expected(shape)}; the request has {got}")
    expect_batch(len(numbers))
    return whole(numbers)


def whole(numbers: NDArray[Any]) -> Images:
    """*numbers* as uint8; raises Refused where one is no whole number from 0 to 255."""
    if numbers.dtype == np.uint8:
        return numbers
    if numbers.dtype.kind not in "iuf":
        raise Refused(400, "pixels have to be numbers from 0 to 255")
    if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        raise Refused(400, "a pixel is NaN or infinite; expected numbers from 0 to 255")
    if numbers.size and (numbers.min() < 0 or numbers.max() > 255):
        raise Refused(400, f"a pixel is {_outside(numbers)}; expected numbers from 0 to 255")
    images = numbers.astype(np.uint8)
    if numbers.dtype.kind == "f" and (images != numbers).any():
        raise Refused(400, FRACTIONS)
    return images


def _outside(numbers: NDArray[Any]) -> str:
    lowest, highest = numbers.min(), numbers.max()
    return f"{lowest if lowest < 0 else highest:g}"


def expected(shape: Shape) -> str:
    rows, columns, channels = shape
    kind = "numbers" if channels == 1 else "colours of 3 numbers: red, green, blue"
    return f"an image is {rows} rows of {columns} {kind}"


def expect_batch(count: int) -> None:
    """Raise Refused for no image, or too many for one request."""
    if not count:
        raise Refused(400, "the request has no image")
    if count > BATCH:
        raise Refused(413, f"the request has {count} images; send at most {BATCH} at once")
