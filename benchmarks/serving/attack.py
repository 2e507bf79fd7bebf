"""Send the corpus of hostile requests, again and again: python -m benchmarks.serving.attack PORT SECONDS

Prints how many were sent. A process of its own, so that its work is not the client's whose latency is measured.
"""

import contextlib
import random
import socket
import sys
import time

from tests.serving import hostile_requests

PATIENCE = 0.5  # seconds for an answer: the server may wait longer for what never comes


def main(port: str, seconds: str) -> None:
    requests = [data for _, data in hostile_requests.corpus()]
    end, sent = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        for data in random.sample(requests, len(requests)):
            if time.monotonic() >= end:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(port))) as connection:
                connection.settimeout(PATIENCE)  # the server hangs up on some before it has read them
                connection.sendall(data)
                connection.recv(65536)
            sent += 1
    print(sent)


if __name__ == "__main__":
    main(*sys.argv[1:])
