"""Ask a server as fast as it answers: python -m benchmarks.serving.load PORT PATH BODY_FILE CONNECTIONS SECONDS

Prints JSON: {"requests", "statuses", "versions", "mixed", "p50_ms", "p99_ms"}; "mixed" counts answers of a version that
differ from its first one, as all requests are the same. A process of its own, so that its work is not the server's.
"""

import asyncio
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

VERSION = re.compile(rb"\r\nx-model-version: (\S+)", re.IGNORECASE)
CLOSES = re.compile(rb"\r\nconnection: close", re.IGNORECASE)
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class Client(asyncio.Protocol):
    """One connection, which sends its next request when the response to the last has arrived.

    It is opened again where the server closes it after each response, as Flask does.
    """

    def __init__(self, port: int, request: bytes, until: float) -> None:
        self._port, self._request, self._until = port, request, until
        self._received, self._sent, self._reconnects = b"", 0.0, False
        self.seconds = list[float]()
        self.answers = Counter[tuple[str, str, bytes]]()  # status, version, body
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._reconnects = transport, False
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, whole, body = self._received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not whole or (length and len(body) < int(length[1])):
            return
        self.seconds.append(time.perf_counter() - self._sent)
        version = VERSION.search(head)
        self.answers[head[9:12].decode(), version[1].decode() if version else "", body] += 1
        self._received = b""
        ends = time.perf_counter() >= self._until
        self._reconnects = not ends and bool(CLOSES.search(head))
        if ends or self._reconnects:
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._reconnects:
            self._connecting = asyncio.ensure_future(self.connect())  # kept: the loop holds no reference to it
            return
        if self._received or time.perf_counter() < self._until:
            self.answers["lost", "", b""] += 1
        self.ended.set_result(None)


async def load(port: int, request: bytes, connections: int, seconds: float) -> dict[str, Any]:
    until = time.perf_counter() + seconds
    clients = [Client(port, request, until) for _ in range(connections)]
    await asyncio.gather(*(client.connect() for client in clients))
    await asyncio.gather(*(client.ended for client in clients))
    times = sorted(second for client in clients for second in client.seconds)
    answers: Counter[tuple[str, str, bytes]] = sum((client.answers for client in clients), Counter())
    statuses, versions = Counter[str](), Counter[str]()
    for (status, version, _), count in answers.items():
        statuses[status] += count
        versions[version] += count
    return {
        "requests": len(times),
        "statuses": dict(statuses),
        "versions": dict(versions),
        "mixed": len(answers) - len(versions),
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(0.99 * len(times))],
    }


def request_of(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def main(port: str, path: str, body: str, connections: str, seconds: str) -> None:
    request = request_of(path, Path(body).read_bytes())
    print(json.dumps(asyncio.run(load(int(port), request, int(connections), float(seconds)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
