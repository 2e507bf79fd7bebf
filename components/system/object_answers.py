"""The HTTP session of an S3 client whose answers are neither endless nor endlessly slow, whatever the server does.

aiobotocore has a time-out for silence alone: a server that sends a byte now and then, or never stops, holds it for ever
or until the memory is full. `session_class` imports it.
"""

import asyncio
from functools import cache
from typing import Any

from components.system.pace import SLOWEST, Pace, Refused

MOST = 2**26  # bytes of an answer that is read at once, or of which the server does not say how long it is
CHUNK = 2**16


class _Bounded:
    """The stream *content* of an answer; raises Refused once it has sent more than *most* bytes, or is too slow."""

    def __init__(self, content: Any, most: int, patience: float) -> None:
        self._content, self._pace, self._received = content, Pace(most, patience), 0

    async def read(self, count: int = -1) -> bytes:
        if count >= 0:
            return await self._piece(count)
        whole = bytearray()
        while piece := await self._piece(CHUNK):
            whole += piece
            if len(whole) > MOST:
                raise Refused(f"more than the expected {MOST:,} bytes")
        return bytes(whole)

    async def _piece(self, count: int) -> bytes:
        piece: bytes = await self._content.read(count)
        self._received += len(piece)
        self._pace.check(self._received)
        return piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)


@cache
def session_class(patience: float) -> Any:
    """The class; *patience* is the number of seconds until an answer has to begin, and then to flow."""
    from aiobotocore.httpsession import AIOHTTPSession  # type: ignore[import-untyped] # comes with s3fs

    class BoundedSession(AIOHTTPSession):  # type: ignore[misc]
        async def send(self, request: Any) -> Any:
            is_streamed, request.stream_output = request.stream_output, True
            sent = int(request.headers.get("Content-Length") or 0)
            try:
                async with asyncio.timeout(2 * patience + sent / SLOWEST):
                    response = await super().send(request)
            except TimeoutError:
                raise Refused(f"no answer within {2 * patience:g} s") from None
            length = response.headers.get("content-length", "")
            raw = response.raw
            raw.content = _Bounded(raw.content, int(length) if length.isdecimal() else MOST, patience)
            if not is_streamed:
                await response.content
            return response

    return BoundedSession
