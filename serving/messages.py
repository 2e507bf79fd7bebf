"""A request as the handlers see it, their response, and the refusal that they raise."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

Headers = tuple[tuple[bytes, bytes], ...]

JSON = b"application/json"
SERVER_VERSION = "0.1.0"  # as in pyproject.toml
LONGEST = 500  # characters of a message, which may quote the request
BINARY = b"application/octet-stream"
HTML = b"text/html; charset=utf-8"
TEXT = b"text/plain; charset=utf-8"
encode = msgspec.json.Encoder().encode


class Refused(Exception):
    """The request is answered with *status* and *message*, a sentence for the person who sent it."""

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message[:LONGEST], headers


@dataclass(slots=True)
class Request:
    """*body* is whole, unpacked and within the limits; *groups* are those of the route's pattern."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    groups: tuple[str | None, ...]
    route: str
    body: bytes = b""
    classified: tuple[float, float] | None = None  # when its images began to be classified, and when they were

    @property
    def content_type(self) -> bytes:
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


@dataclass(slots=True)
class Response:
    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: Headers = field(default=())


def json_response(document: object, headers: Iterable[tuple[bytes, bytes]] = (), status: int = 200) -> Response:
    return Response(encode(document), status, headers=tuple(headers))


def refusal(refused: Refused) -> Response:
    return json_response({"error": refused.message}, refused.headers, refused.status)
