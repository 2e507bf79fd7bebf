"""The notifier for a webhook, as any DAG may use it."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import BaseNotifier, Context

from pipeline.airflow import webhook
from pipeline.airflow.webhook import WebhookNotifier
from tests.support.unkind_servers import Answer, dripping_header, not_http, serving, silent


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def hook() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """The address of a webhook, and what was posted to it: type of content, and JSON."""
    posted: list[tuple[str, Any]] = []

    class Keeps(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Keeps) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook", posted
        server.shutdown()


def test_a_callback_of_any_dag_posts_its_message(hook: tuple[str, list[tuple[str, Any]]]) -> None:
    """Airflow calls it with the context of the task, which its templates take."""
    url, posted = hook
    notifier = WebhookNotifier(url, {"text": "{{ ti.task_id }} has failed"})
    assert isinstance(notifier, BaseNotifier)
    notifier(cast("Context", {"ti": SimpleNamespace(task_id="train")}))
    assert posted == [("application/json", {"text": "train has failed"})]


def test_a_deadline_alert_awaits_it(hook: tuple[str, list[tuple[str, Any]]]) -> None:
    """In the triggerer, which no slow server keeps from its other work."""
    url, posted = hook

    async def awaited() -> None:
        await WebhookNotifier(url, {"text": "late"}, context=cast("Context", {}))

    asyncio.run(awaited())
    assert posted == [("application/json", {"text": "late"})]


@pytest.mark.parametrize("answer", [silent, dripping_header], ids=lambda answer: answer.__name__)
def test_a_server_that_does_not_answer_holds_no_task(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
    """Nor one that sends a byte now and then, which no time-out of a connection notices."""
    monkeypatch.setattr(webhook, "SECONDS", 0.3)
    start = time.monotonic()
    with serving(answer) as url, pytest.raises(OSError, match=r"no answer within|timed out"):
        WebhookNotifier(url, {"text": "late"}).notify(cast("Context", {}))
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("address", ["hooks.example.org/secret", "ftp://host/secret", "http://host/a secret"])
def test_a_wrong_address_is_not_repeated(address: str) -> None:
    """Whoever knows it may post there."""
    with pytest.raises(ValueError, match="address") as raised:
        WebhookNotifier(address, {}).notify(cast("Context", {}))
    assert "secret" not in str(raised.value)


def test_a_server_of_another_language_is_an_error() -> None:
    with serving(not_http) as url, pytest.raises(ValueError, match="its server answers in another language"):
        WebhookNotifier(url, {}).notify(cast("Context", {}))
