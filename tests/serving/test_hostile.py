"""Requests that nobody should send: each is refused in a sentence or hung up on, and honest ones are answered."""

import contextlib
import json
import socket
import statistics
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from tests.serving import hostile_requests
from tests.serving.hostile_requests import request
from tests.support.serving_process import ServingProcess

SECONDS = 15.0
LATE = 3.0  # a busy machine
MEGABYTES = 150
CORPUS = hostile_requests.corpus()
HONEST = request("/predict", json.dumps({"image": [[0] * 28] * 28}).encode(), "Connection: close")


def exchange(port: int, data: bytes) -> bytes:
    """What comes back until the server hangs up, or the body of the first response is whole; b"" for nothing."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS + LATE) as connection:
        sender = threading.Thread(target=_send, args=(connection, data), daemon=True)
        sender.start()
        received = b""
        with contextlib.suppress(ConnectionResetError):  # the server hung up with the request half read
            while not _is_whole(received) and (part := connection.recv(65536)):
                received += part
        return received


def _send(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # the server hung up
        connection.sendall(data)


def _is_whole(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found and lengths) and len(body) >= int(lengths[0].split(b":")[1])


def memory(server: ServingProcess) -> float:
    """Megabytes in memory of the server: the process under the supervisor."""
    [process] = psutil.Process(server.process.pid).children()
    return float(process.memory_info().rss) / 1e6


def test_there_are_enough() -> None:
    """At least a hundred, each with a name of its own."""
    assert len({name for name, _ in CORPUS}) == len(CORPUS) >= 100


@pytest.mark.parametrize("data", [data for _, data in CORPUS], ids=[name for name, _ in CORPUS])
def test_it_is_refused(server: ServingProcess, data: bytes) -> None:
    """With a status of 4xx and a sentence, or by hanging up, within 15 s; the next request is answered."""
    start = time.monotonic()
    received = exchange(server.port, data)
    assert time.monotonic() - start < SECONDS + LATE
    if received:
        status, body = received[9:12], received.partition(b"\r\n\r\n")[2]
        assert status.startswith(b"4"), received[:500]
        assert len(body) < 1000
        assert b"Traceback" not in body
        if b"application/json" in received:
            assert " " in json.loads(body)["error"]
    assert exchange(server.port, HONEST).startswith(b"HTTP/1.1 200")


def test_what_was_refused_left_no_memory_behind(server: ServingProcess) -> None:
    """Below 150 MB after all of them, and nothing in the log but what the server says of itself."""
    assert memory(server) < MEGABYTES
    assert "Traceback" not in server.log.read_text()


def silent(connection: socket.socket, _: float) -> None:
    """Sends nothing."""


def drips(data: bytes) -> Callable[[socket.socket, float], None]:
    """Sends *data*, and then a byte now and then."""

    def send(connection: socket.socket, elapsed: float) -> None:
        connection.sendall(data if elapsed == 0 else b"a")

    return send


SLOW = {
    "says nothing": silent,
    "drips headers": drips(b"GET / HTTP/1.1\r\nX: "),
    "drips a body": drips(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{"),
    "drips chunks": drips(b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5000\r\n"),
    "stops in its headers": lambda connection, elapsed: None if elapsed else connection.sendall(b"POST /pre"),
}


def _attack(port: int, act: Callable[[socket.socket, float], None]) -> tuple[float, bytes]:
    """Seconds until the server hangs up on *act*, and what it said."""
    start, received = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(0.5)
        elapsed = 0.0
        while elapsed < SECONDS + LATE:
            try:
                with contextlib.suppress(TimeoutError):  # the server is patient still
                    act(connection, elapsed)
                    if not (part := connection.recv(65536)):
                        break
                    received += part
            except OSError:
                break
            elapsed = time.monotonic() - start
    return elapsed, received


def test_slow_requests_are_ended_and_hold_nobody_up(server: ServingProcess) -> None:
    """300 half-sent requests and slow ones of each kind are hung up on in time; honest ones are answered meanwhile."""
    found: dict[str, tuple[float, bytes]] = {}
    attackers = [
        threading.Thread(target=lambda name=name, act=act: found.update({name: _attack(server.port, act)}))
        for name, act in SLOW.items()
    ]
    half_sent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(300)]
    for connection in half_sent:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{")
    for attacker in attackers:
        attacker.start()
    while any(attacker.is_alive() for attacker in attackers):
        assert exchange(server.port, HONEST).startswith(b"HTTP/1.1 200")
    for connection in half_sent:
        connection.close()
    assert {name: seconds for name, (seconds, _) in found.items() if seconds >= SECONDS + LATE} == {}
    for name in ("drips a body", "drips chunks"):
        assert found[name][1].startswith(b"HTTP/1.1 408"), found[name]


def test_a_reader_that_does_not_read_is_hung_up_on(server: ServingProcess) -> None:
    """Its answers are not kept for it."""
    before = memory(server)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        batch = json.dumps({"instances": [[[0] * 28] * 28] * 1000}).encode()
        data = request(hostile_requests.V1, batch)
        connection.settimeout(SECONDS + LATE)
        with contextlib.suppress(OSError):  # hung up, or a timeout of this side
            for _ in range(100):
                connection.sendall(data)
    assert memory(server) - before < 60


def test_honest_requests_stay_quick_under_attack(server: ServingProcess) -> None:
    """The median of honest requests beside bombs is at most three times that without, or 50 ms on a busy machine."""
    bombs = [data for name, data in CORPUS if ("bomb" in name and "base64" not in name) or "100,000" in name]

    def median() -> float:
        seconds = []
        for _ in range(60):
            start = time.perf_counter()
            assert exchange(server.port, HONEST).startswith(b"HTTP/1.1 200")
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds)

    alone, ended = median(), threading.Event()

    def attack() -> None:
        while not ended.is_set():
            for data in bombs:
                exchange(server.port, data)

    attacker = threading.Thread(target=attack)
    attacker.start()
    beside = median()
    ended.set()
    attacker.join()
    assert beside < max(3 * alone, 0.05)
