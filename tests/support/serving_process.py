"""The server as a process of its own, and requests to it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.conftest import CLEAN, ROOT
from tests.support.airflow_server import free_port
from tests.support.ended_with_us import start

SECONDS = 60


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def version(self) -> str:
        return self.headers.get("x-model-version", "")


def ask(port: int, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Answer:
    """What the server at *port* answers; a header's name with _ for -."""
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    response = connection.getresponse()
    answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    connection.close()
    return answer


@dataclass
class ServingProcess:
    process: "subprocess.Popen[Any]"
    port: int
    log: Path

    def ask(self, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Answer:
        return ask(self.port, method, path, body, **headers)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, document: object, **headers: str) -> Answer:
        return self.ask("POST", path, json.dumps(document), content_type="application/json", **headers)

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Until *condition* holds; fails with the log where the server has ended or does not get there."""
        end = time.monotonic() + SECONDS
        while True:
            with suppress(OSError):  # it does not listen yet
                if condition():
                    return
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, f"no {what}: {self.log.read_text()}"
            time.sleep(0.02)


@contextmanager
def serving(home: Path, *arguments: str, ready: bool = True, **environment: str) -> Iterator[ServingProcess]:
    """`python -m serving` on *home*, ready to answer; ended at the end of the block."""
    port, log = free_port(), home / "serving.log"
    with log.open("wb") as output:
        process = start(
            [sys.executable, "-m", "serving", "--port", str(port), *arguments],
            cwd=ROOT, env={**CLEAN, "PIPELINE_HOME": str(home), **environment}, stdout=output, stderr=output,
        )  # fmt: skip
    server = ServingProcess(process, port, log)
    try:
        path = "/v2/health/ready" if ready else "/v2/health/live"
        server.wait_for(lambda: server.get(path).status == 200, path)
        yield server
    finally:
        process.terminate()
        process.wait(SECONDS)
