"""uvicorn's connection with limits that uvicorn has not: on the time and size of a request, and on slow readers.

A timer is set only where a piece of a request has arrived and not the whole: most arrive at once and need none.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.limits import BODY_SECONDS, LATE

HEADER_SECONDS = 15.0
HEADER_BYTES = 32 * 2**10
OVERHEAD = 32  # bytes that a header counts beyond its own, as in HTTP/2: many small ones are a lot of work too
READ_SECONDS = 15.0  # for a client that does not read its response


class Connection(HttpToolsProtocol):
    """Closed where the headers of a request take too long or too much, or a response is not read."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._due: asyncio.TimerHandle | None = None  # of the request
        self._read_due: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._in_headers, self._in_body = True, False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set(HEADER_SECONDS, self._close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._close()
        if self._due is None:
            if self._in_body:
                self._set(BODY_SECONDS, self._end_body)
            elif self._in_headers or self._is_idle():
                self._set(HEADER_SECONDS, self._close)

    def _is_idle(self) -> bool:
        """Whether what came was no request, such as line feeds, before which uvicorn forgets its own timer."""
        return self.timeout_keep_alive_task is None and (self.cycle is None or self.cycle.response_complete)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True

    def on_headers_complete(self) -> None:
        if sum([len(name) + len(value) + OVERHEAD for name, value in self.headers]) + len(self.url) > HEADER_BYTES:
            raise ValueError("too many bytes of headers")  # in the parser, which answers with 400
        self._in_headers, self._in_body, self._header_bytes = False, True, 0
        self._unset()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        self._unset()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_due = self._read_due or self.loop.call_later(READ_SECONDS, self._close)

    def resume_writing(self) -> None:
        self._end_pause()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset()
        self._end_pause()
        super().connection_lost(exc)

    def _set(self, seconds: float, call: Callable[[], None]) -> None:
        self._due = self.loop.call_later(seconds, call)

    def _unset(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _end_pause(self) -> None:
        if self._read_due is not None:
            self._read_due.cancel()
            self._read_due = None

    def _end_body(self) -> None:
        """Wake the application, which answers that the body is late; close where it has answered already."""
        if self.cycle.response_complete:
            self._close()
        else:
            self.cycle.scope["state"][LATE] = True
            self.cycle.message_event.set()

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()
