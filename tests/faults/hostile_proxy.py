"""A proxy before a healthy HTTP server that spoils some of its answers in one way.

with Proxy(upstream) as proxy:
    proxy.spoil(fault, rng, first=2, count=1)     # the third request, and no other
    ... requests to proxy.address ...
"""

import gzip
import http.client
import random
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "server", "date"}
STATUSES = (400, 403, 404, 408, 409, 412, 416, 429, 500, 502, 503, 504)
HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in to this network.</body></html>"
BOMB = gzip.compress(bytes(2**28), 9, mtime=0)  # 256 MB
DRIP = 0.05  # seconds between two bytes
CHUNK = b"".join((b"10000\r\n", bytes(2**16), b"\r\n"))
ENDLESS = 2**32  # bytes after which even an endless answer ends, for the sake of the disk


@dataclass
class Answer:
    """What the healthy server answers, and the connection that it goes to."""

    status: int
    headers: dict[str, str]
    body: bytes
    path: str
    connection: socket.socket
    ended: threading.Event
    rng: random.Random
    address: str

    def send(
        self, body: bytes | None = None, status: int = 0, length: int = -1, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole answer, changed as the arguments say."""
        body = self.body if body is None else body
        size = len(body) if length < 0 else length
        self.start(status or self.status, {"Content-Length": str(size), **self.headers, **(headers or {})})
        self.connection.sendall(body)

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items())]
        self.connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1", "replace"))


Fault = Callable[[Answer], None]


def none(answer: Answer) -> None:
    answer.send()


def cut_off(answer: Answer) -> None:
    """The connection ends in the body."""
    answer.send(answer.body[: answer.rng.randrange(len(answer.body) + 1)], length=len(answer.body) + 1)


def shortened(answer: Answer) -> None:
    """A part of the body, with the length of that part."""
    answer.send(answer.body[: answer.rng.randrange(len(answer.body) + 1)])


def refused(answer: Answer) -> None:
    """Another status, with or without Retry-After, and some body."""
    retry = {"Retry-After": answer.rng.choice(("0", "86400", "-1", "soon"))} if answer.rng.random() < 0.5 else {}
    answer.send(answer.rng.choice((b"", HTML, answer.body)), status=answer.rng.choice(STATUSES), headers=retry)


def endless(answer: Answer) -> None:
    answer.start(answer.rng.choice((answer.status, 404, 500)), {**answer.headers, "Transfer-Encoding": "chunked"})
    for _ in range(ENDLESS // len(CHUNK)):
        if answer.ended.is_set():
            return
        answer.connection.sendall(CHUNK)


def html(answer: Answer) -> None:
    """The page of a network that wants a login."""
    answer.send(HTML, status=200, headers={"Content-Type": "text/html"})


def bomb(answer: Answer) -> None:
    """A small body that unpacks to 256 MB."""
    encoding = {"Content-Encoding": "gzip"} if answer.rng.random() < 0.5 else {}
    answer.send(BOMB, headers=encoding)


def dripping(answer: Answer) -> None:
    """A byte now and then, of the body or of a header that never ends."""
    if answer.rng.random() < 0.5:
        answer.start(answer.status, {**answer.headers, "Content-Length": str(len(answer.body))})
        pieces: Any = (answer.body[i : i + 1] for i in range(len(answer.body)))
    else:
        answer.connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        pieces = iter(lambda: b"x", b"")
    for piece in pieces:
        answer.connection.sendall(piece)
        if answer.ended.wait(DRIP):
            return


def silent(answer: Answer) -> None:
    answer.ended.wait()


def reset(answer: Answer) -> None:
    """The connection is reset, before an answer or in it."""
    if answer.rng.random() < 0.5:
        answer.start(answer.status, {**answer.headers, "Content-Length": str(len(answer.body) + 1)})
        answer.connection.sendall(answer.body[: len(answer.body) // 2])
    answer.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def redirected(answer: Answer) -> None:
    """To itself, for ever, to a file, or to another host."""
    places = (
        answer.path,
        "file:///etc/passwd",
        "ftp://127.0.0.1:1/x",
        "http://127.0.0.1:1/",
        "//[",
        f"{answer.path}/x",
    )
    where = {"Location": answer.rng.choice(places)}
    answer.send(b"", status=answer.rng.choice((301, 302, 303, 307, 308)), headers=where)


def flipped(answer: Answer) -> None:
    """One bit of the body."""
    body = bytearray(answer.body)
    if body:
        body[answer.rng.randrange(len(body))] ^= 1 << answer.rng.randrange(8)
    answer.send(bytes(body))


def odd_headers(answer: Answer) -> None:
    """Another ETag, nonsense, or none at all."""
    odd = {"ETag": '"0"', "Content-Range": "bytes 9-1/x", "Content-Type": "\x00", "Last-Modified": "yesterday"}
    name, value = answer.rng.choice([*odd.items(), ("X-Huge", "x" * 70_000), ("ETag", "x" * 5000)])
    if answer.rng.random() < 0.3:
        answer.headers.clear()
    answer.send(headers={name: value})


def no_http(answer: Answer) -> None:
    answer.connection.sendall(
        answer.rng.choice((b"220 ftp ready\r\n", b"", b"HTTP/1.1 abc\r\n\r\n", b"\x16\x03\x01" * 9))
    )


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        *(none, cut_off, shortened, refused, endless, html, bomb, dripping, silent, reset, redirected, flipped),
        *(odd_headers, no_http),
    )
}


@dataclass
class Proxy:
    """The proxy of *upstream*, http://HOST:PORT; `seen` are the requests since the last call of `spoil`."""

    upstream: str
    seen: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.spoil(none, random.Random(0))
        self._ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def spoil(self, fault: Fault, rng: random.Random, first: int = 0, count: int = 2**31) -> None:
        """From now on *count* answers, after *first* whole ones, are given by *fault*."""
        self._plan = (fault, rng, range(first, first + count))
        self.seen.clear()

    def reply(self, request: BaseHTTPRequestHandler) -> None:
        number, (fault, rng, spoiled) = len(self.seen), self._plan
        self.seen.append(f"{request.command} {request.path}")
        status, headers, body = self._ask(request)
        about = (request.path, request.connection, self._ended, rng, self.address)
        answer = Answer(status, headers, body, *about)
        with suppress(OSError):  # the client went away
            (fault if number in spoiled else none)(answer)

    def _ask(self, request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        content = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=60)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        try:
            connection.request(request.command, request.path, content or None, headers)
            response = connection.getresponse()
            kept = {name: value for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP}
            if request.command == "HEAD":
                kept["Content-Length"] = response.getheader("Content-Length", "0")
            return response.status, kept, response.read()
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    owner: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _reply(self) -> None:
        self.close_connection = True
        self.server.owner.reply(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # of every method: GET, HEAD, PUT, ...
            return self._reply
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""
