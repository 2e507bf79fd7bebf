"""Servers that do what none should: drip, never end, end too early, speak another language."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket, threading.Event], None]

OK = b"HTTP/1.0 200 OK\r\n"


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """The address of a server that answers each request with *answer*, until the event is set."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        connection.recv(4096)
                        answer(connection, ended)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/file"
        finally:
            ended.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def whole(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(OK + b"Content-Length: 5\r\n\r\nhello")


def absent(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(b"HTTP/1.0 404 Not Found\r\n\r\n")


def without_length(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(OK + b"\r\nhello")


def dripping(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(OK + b"\r\n")
    while not ended.wait(0.02):
        connection.sendall(b"x")


def dripping_header(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(OK + b"X-Long: ")
    while not ended.wait(0.02):
        connection.sendall(b"x")


def silent(connection: socket.socket, ended: threading.Event) -> None:
    ended.wait()


def huge(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(OK + b"\r\n")
    while not ended.is_set():
        connection.sendall(bytes(2**16))


def cut_off(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(OK + b"Content-Length: 9\r\n\r\nhello")


def not_http(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(b"220 ftp ready\r\n")


def bad_length(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n")


def failing(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(b"HTTP/1.0 503 Busy\r\n\r\n")
