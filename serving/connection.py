"""uvicorn's connection with limits that uvicorn has not: on the time and the size of headers, and on slow readers."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 15.0
HEADER_BYTES = 32 * 2**10
OVERHEAD = 32  # bytes that a header counts beyond its own, as in HTTP/2: many small ones are a lot of work too
READ_SECONDS = 15.0  # for a client that does not read its response


class Connection(HttpToolsProtocol):
    """Closed where the headers of a request take too long or too much, or a response is not read."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._headers_due: asyncio.TimerHandle | None = None
        self._read_due: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._in_headers = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        if self._in_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._in_headers and self._header_bytes > HEADER_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True
        self._await_headers()

    def on_headers_complete(self) -> None:
        if sum([len(name) + len(value) + OVERHEAD for name, value in self.headers]) + len(self.url) > HEADER_BYTES:
            raise ValueError("too many bytes of headers")  # the parser is told, and answers with 400
        self._in_headers, self._header_bytes = False, 0
        self._end_headers()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_due = self._read_due or self.loop.call_later(READ_SECONDS, self._close)

    def resume_writing(self) -> None:
        self._end_pause()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_headers()
        self._end_pause()
        super().connection_lost(exc)

    def _await_headers(self) -> None:
        if self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADER_SECONDS, self._close)

    def _end_headers(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _end_pause(self) -> None:
        if self._read_due is not None:
            self._read_due.cancel()
            self._read_due = None

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()
