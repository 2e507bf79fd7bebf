"""Tensors of Open Inference Protocol v2, in JSON and in binary: little-endian, row by row."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Images
from components.models.prediction import Probabilities
from serving import pictures, pixels
from serving.bodies import Tensor
from serving.loaded_model import LoadedModel
from serving.messages import Refused

DTYPES = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
BYTES = "BYTES"  # elements of any length: here, files of pictures
DIMENSIONS, LARGEST = 4, 2**31  # of a shape
LENGTH_BYTES = 4  # before each of them


def images(tensor: Tensor, binary: memoryview, model: LoadedModel) -> Images:
    """The images in *tensor*, whose numbers are in its data or in *binary*; raises Refused."""
    size = tensor.parameters.binary_data_size
    if (size or 0) != len(binary):
        raise Refused(400, f"{tensor.name} has a binary_data_size of {size}, and {len(binary)} bytes follow the JSON")
    if not 0 < len(tensor.shape) <= DIMENSIONS or any(not 0 <= size <= LARGEST for size in tensor.shape):
        raise Refused(400, f"the shape of {tensor.name} is not [images, height, width, channels]")
    if tensor.datatype == BYTES:
        return pictures.decode(_files(tensor, binary), model)
    if tensor.datatype not in DTYPES:
        raise Refused(400, f"the datatype of {tensor.name} is {tensor.datatype}; expected {', '.join(DTYPES)} or BYTES")
    numbers = _from_json(tensor) if size is None else _from_binary(tensor, binary)
    return pixels.of_numbers(numbers, model.shape)


def _from_binary(tensor: Tensor, binary: memoryview) -> "NDArray[np.generic]":
    dtype = np.dtype(DTYPES[tensor.datatype])
    expected = math.prod(tensor.shape) * dtype.itemsize
    if len(binary) != expected:
        raise Refused(
            400, f"{tensor.name} has {len(binary)} bytes; {tensor.shape} of {tensor.datatype} take {expected}"
        )
    return np.frombuffer(binary, dtype).reshape(tensor.shape)


def _from_json(tensor: Tensor) -> "NDArray[np.generic]":
    try:
        numbers = _flat(tensor.data or [])
    except ValueError:
        raise Refused(400, f"the rows of {tensor.name} differ in length") from None
    if numbers.size != math.prod(tensor.shape):
        raise Refused(400, f"{tensor.name} has {numbers.size} numbers; the shape {tensor.shape} does not fit")
    return numbers.reshape(tensor.shape)


def _flat(data: list[Any]) -> "NDArray[np.generic]":
    """*data*, flat or nested; most clients send bytes as numbers, flat, which is quick."""
    try:
        return np.frombuffer(bytes(data), np.uint8)
    except (TypeError, ValueError):
        return np.asarray(data).ravel()


def _files(tensor: Tensor, binary: memoryview) -> list[bytes]:
    """The pictures in *tensor*: base64 in JSON, else each with its length before it."""
    if tensor.parameters.binary_data_size is None:
        files = [pictures.of_base64(text) for text in tensor.data or [] if isinstance(text, str)]
    else:
        files = list(_elements(binary))
    if len(files) != math.prod(tensor.shape):
        raise Refused(400, f"{tensor.name} has {len(files)} pictures; the shape {tensor.shape} does not fit")
    pixels.expect_batch(len(files))
    return files


def _elements(binary: memoryview) -> Iterator[bytes]:
    at = 0
    while at < len(binary):
        start = at + LENGTH_BYTES
        at = start + int.from_bytes(binary[at:start], "little")
        yield bytes(binary[start:at])
    if at != len(binary):
        raise Refused(400, "the elements of BYTES are cut off")


class Answer(NamedTuple):
    """An output tensor: numbers, or texts."""

    datatype: str
    shape: list[int]
    content: Probabilities | list[str]

    def values(self) -> list[float] | list[str]:
        return self.content if isinstance(self.content, list) else self.content.ravel().tolist()

    def packed(self) -> bytes:
        if not isinstance(self.content, list):
            return self.content.astype("<f4", copy=False).tobytes()
        elements = [text.encode() for text in self.content]
        return b"".join(len(element).to_bytes(LENGTH_BYTES, "little") + element for element in elements)


def answer(probabilities: Probabilities, classes: Sequence[str], best: int) -> Answer:
    """The probabilities, or Triton's classification of the *best* classes: "probability:index:class"."""
    if best <= 0:
        return Answer("FP32", list(probabilities.shape), probabilities)
    order = np.argsort(-probabilities, axis=1)[:, :best]
    texts = [
        f"{row[index]:f}:{index}:{classes[index]}"
        for row, indices in zip(probabilities, order.tolist(), strict=True)
        for index in indices
    ]
    return Answer(BYTES, list(order.shape), texts)
