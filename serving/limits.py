"""How much a request may be, and how long it may take; what is more is refused before it is held in memory."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serving.messages import Headers, Refused

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

BODY_BYTES = 4 * 2**20
BODY_SECONDS = 10.0
LATE = "late"  # set in the state of a request whose body has taken longer: serving/connection.py
DRAINED_BYTES, DRAIN_SECONDS = 64 * 2**20, 5.0  # read and dropped, or the client sees a reset and never the response
IN_FLIGHT = 256  # requests whose body is there and that are being answered
CLOSE: Headers = ((b"connection", b"close"),)
WINDOWS = {b"gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}  # https://docs.python.org/3/library/zlib.html


class Disconnected(Exception):
    """The client has gone: nobody reads a response."""


async def read_body(scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """The body, whole and unpacked; raises Refused where it is too long, too slow or not as it is declared."""
    declared = headers.get(b"content-length", b"0")
    if int(declared) > BODY_BYTES:  # the parser took digits only
        await _drain(receive)
        raise Refused(413, f"the body has {int(declared)} bytes; send at most {BODY_BYTES}", CLOSE)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body += await _rest(scope, len(body), receive)
    elif message["type"] == "http.disconnect":
        raise Disconnected
    coding = headers.get(b"content-encoding")
    return unpacked(body, coding.strip().lower()) if coding else body


async def _rest(scope: Scope, length: int, receive: Receive) -> bytes:
    """What follows the first *length* bytes of a body."""
    rest, more = bytearray(), True
    while more:
        if scope["state"].get(LATE):
            raise Refused(408, f"the body did not arrive within {BODY_SECONDS:g} s", CLOSE)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        rest += message.get("body", b"")
        more = message.get("more_body", False)
        if length + len(rest) > BODY_BYTES:
            rest.clear()
            await _drain(receive)
            raise Refused(413, f"the body has more than {BODY_BYTES} bytes; send fewer images at once", CLOSE)
    return bytes(rest)


async def _drain(receive: Receive) -> None:
    """Read on for a while: a client that is still sending looks at no response."""
    left = DRAINED_BYTES
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body"):
                    return
    except TimeoutError:
        return


def unpacked(body: bytes, coding: bytes) -> bytes:
    """*body* without its compression; raises Refused for more than a body may have, or what is not compressed so."""
    if coding == b"identity":
        return body
    if coding not in WINDOWS:
        raise Refused(415, f"Content-Encoding {coding.decode('latin-1')} is unknown here; use gzip, deflate or none")
    stream = zlib.decompressobj(WINDOWS[coding])
    try:
        plain = stream.decompress(body, BODY_BYTES)
    except zlib.error:
        raise Refused(400, f"the body is not compressed by {coding.decode()}, as Content-Encoding says") from None
    if stream.unconsumed_tail:
        raise Refused(413, f"the body has more than {BODY_BYTES} bytes when unpacked; send fewer images at once")
    if not stream.eof:
        raise Refused(400, f"the body, compressed by {coding.decode()}, is cut off")
    return plain
