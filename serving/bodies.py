"""The bodies of requests, decoded and checked by msgspec, which names the place of what it refuses: $.image[3]."""

from typing import Any

import msgspec

from serving.messages import Refused

Rows = list[list[int]]


class Encoded(msgspec.Struct):
    """A PNG or JPEG file in base64."""

    b64: str


class Predict(msgspec.Struct):
    """The body of the tutorials; a grey image is rows of numbers."""

    image: Rows | Encoded


def decoded(decoder: "msgspec.json.Decoder[Any]", body: bytes | memoryview) -> Any:
    """*body* as the type of *decoder*; raises Refused where it is none."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refused(400, f"the body is not as expected: {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
