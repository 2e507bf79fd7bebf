"""The bodies of requests, decoded and checked by msgspec, which names the place of what it refuses: $.image[3]."""

from typing import TypeVar

import msgspec

from serving.messages import Refused

T = TypeVar("T")

# Nested as deep as a batch of images can be, (N, H, W, C), so that true, null and text are refused where they stand.
Number = int | float
Image = list[Number | list[Number | list[Number]]]
Numbers = list[Number | list[Number | list[Number | list[Number]]]]


class Encoded(msgspec.Struct):
    """A PNG or JPEG file in base64."""

    b64: str


class Predict(msgspec.Struct):
    """The body of the tutorials."""

    image: Image | Encoded


class Value(msgspec.Struct, forbid_unknown_fields=True):
    """In TensorFlow Serving's dialect: a file, or what the input *images* is given."""

    b64: str | None = None
    images: "Batch | Encoded | None" = None


Batch = list[Number | Value | list[Number | list[Number | list[Number]]]]


class Instances(msgspec.Struct):
    """TensorFlow Serving's: rows (*instances*) or a column (*inputs*)."""

    signature_name: str = ""
    instances: Batch | None = None
    inputs: Batch | Value | None = None


class Parameters(msgspec.Struct, frozen=True):
    """Of Open Inference Protocol v2; others than these are let through, as it wants."""

    binary_data_size: int | None = None
    binary_data: bool | None = None
    binary_data_output: bool = False
    classification: int = 0


class Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters = Parameters()
    data: list[Number | str | list[Number | list[Number | list[Number | list[Number]]]]] | None = None


class Output(msgspec.Struct):
    name: str
    parameters: Parameters = Parameters()


class Infer(msgspec.Struct):
    """Open Inference Protocol v2's."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: Parameters = Parameters()
    outputs: list[Output] = []


def decoded(decoder: "msgspec.json.Decoder[T]", body: bytes | memoryview) -> T:
    """*body* as the type of *decoder*; raises Refused where it is none."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refused(400, f"the body is not as expected: {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
