"""The HTTP session of an S3 client whose answers are neither endless nor endlessly slow, whatever the server does.

aiobotocore has a time-out for silence alone: a server that sends a byte now and then, or never stops, holds it for ever
or until the memory is full. `session_class` imports it.
"""

import asyncio
import time
from functools import cache
from typing import Any

MOST = 2**26  # bytes of an answer that is read at once, or of which the server does not say how long it is
SLOWEST = 8 * 2**10  # bytes a second on average, after the time-out
CHUNK = 2**16


class Refused(ConnectionError):
    """An answer that is too long or too slow; another attempt's would be, too."""


class _Bounded:
    """The stream *content* of an answer; raises Refused once it has sent more than *most* bytes, or is too slow."""

    def __init__(self, content: Any, most: int, patience: float) -> None:
        self._content, self._most, self._patience = content, most, patience
        self._start, self._received = time.monotonic(), 0

    async def read(self, count: int = -1) -> bytes:
        if count >= 0:
            return await self._piece(count)
        whole = bytearray()
        while piece := await self._piece(CHUNK):
            whole += piece
            if len(whole) > MOST:
                raise Refused(f"more than {MOST:,} bytes")
        return bytes(whole)

    async def _piece(self, count: int) -> bytes:
        piece: bytes = await self._content.read(count)
        self._received += len(piece)
        if self._received > self._most:
            raise Refused(f"more than {self._most:,} bytes")
        seconds = time.monotonic() - self._start
        if self._received < SLOWEST * (seconds - self._patience):
            raise Refused(f"only {self._received:,} bytes in {seconds:.0f} s")
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
