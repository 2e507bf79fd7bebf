"""Where notifications go: real servers of HTTP and SMTP, and what goes wrong with them."""

import gc
import json
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import Context

from pipeline.airflow import channels
from tests.support.mail_server import Mails, mail_server, tls_of_localhost

CONTEXT = cast("Context", {})
# the SMTP provider does not close the connection to a server that refuses the login
UNCLOSED = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
SENTENCE = "digits-classifier version 3 is champion <with> an accuracy of 98.77 %"
REPORT, RUN = "http://host/pipeline/runs/1/report.html?a=1&b=2", "http://mlflow/#/runs/1"
MESSAGE = {
    "text": f"{SENTENCE}\nReport: {REPORT}\nMLflow run: {RUN}",
    "report": REPORT,
    "mlflow_run": RUN,
    "model_version": "",
}


@pytest.fixture(autouse=True)
def _no_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*channels.SENDERS, "NOTIFY_HEARTBEAT_URL"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mails]:
    """What the mail server of Airflow's connection smtp_default gets."""
    with mail_server() as (port, mails):
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.org"}
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
        yield mails


@pytest.fixture
def requested() -> Iterator[tuple[str, list[str]]]:
    """The address of a server, and what is requested of it; /moved leads elsewhere, /broken fails."""
    requests: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(f"{self.command} {self.path}")
            status = {"/moved": 302, "/broken": 500}.get(self.path, 200)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()


def test_a_mail_has_the_text_and_the_links(mails: Mails, monkeypatch: pytest.MonkeyPatch) -> None:
    """To every address, from the sender of the connection; the subject is the beginning of the text."""
    monkeypatch.setenv("NOTIFY_EMAIL", "ada@example.org, bob@example.org")
    channels.deliver(MESSAGE, CONTEXT)
    [mail] = mails
    assert (mail["From"], mail["To"]) == ("airflow@example.org", "ada@example.org, bob@example.org")
    assert mail["Subject"] == SENTENCE
    body = mail.get_body(("html",))
    assert body
    text = body.get_content()
    assert "&lt;with&gt; an accuracy of 98.77 %" in text
    assert 'href="http://host/pipeline/runs/1/report.html?a=1&amp;b=2">Report<' in text
    assert ">MLflow run<" in text
    assert "Model version" not in text


@UNCLOSED
@pytest.mark.parametrize(("password", "mailed"), [("right", 1), ("wrong", 0)])
def test_a_mail_server_may_want_tls_and_a_login(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path, password: str, mailed: int
) -> None:
    """Both are in Airflow's connection; a wrong password is a warning that does not repeat it."""
    monkeypatch.setenv("NOTIFY_EMAIL", "ada@example.org")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    with mail_server(("airflow", "right"), tls_of_localhost(tmp_path / "trusted.pem")) as (port, mails):
        extra = {"disable_ssl": True, "from_email": "airflow@example.org"}  # not TLS at once, but STARTTLS
        connection = {"conn_type": "smtp", "host": "localhost", "port": port, "extra": extra}
        login = {"login": "airflow", "password": password}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection | login))
        channels.deliver(MESSAGE, CONTEXT)
    gc.collect()
    assert [mail["To"] for mail in mails] == ["ada@example.org"] * mailed
    assert ("NOTIFY_EMAIL: the notification could not be delivered: (535" in caplog.text) == (not mailed)


@UNCLOSED
def test_a_mail_server_that_does_not_answer_holds_no_task(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever time-out and retries the connection has."""
    monkeypatch.setenv("NOTIFY_EMAIL", "ada@example.org")
    monkeypatch.setattr(channels, "SECONDS", 0.3)
    before = threading.enumerate()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        extra = {"disable_ssl": True, "disable_tls": True, "timeout": 600, "retry_limit": 0}
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": silent.getsockname()[1], "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
        channels.deliver(MESSAGE, CONTEXT)
    for given_up in set(threading.enumerate()) - set(before):
        given_up.join()
    gc.collect()
    assert "NOTIFY_EMAIL: the notification could not be delivered: no answer within 0.3 s" in caplog.text


def test_a_channel_with_a_bug_fails_no_task(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """As a provider that refuses a field of the connection by an error of no kind of its own."""
    monkeypatch.setenv("NOTIFY_EMAIL", "ada@example.org")
    connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": 9, "extra": {"ssl_context": "nonsense"}}
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
    channels.deliver(MESSAGE, CONTEXT)
    assert "NOTIFY_EMAIL: the notification could not be delivered: The connection extra field" in caplog.text


def test_a_mail_server_that_is_away_costs_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As does a connection that nobody has defined."""
    monkeypatch.setenv("NOTIFY_EMAIL", "ada@example.org")
    away = {"conn_type": "smtp", "host": "127.0.0.1", "port": 9, "extra": {"disable_ssl": True, "retry_limit": 1}}
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(away))
    channels.deliver(MESSAGE, CONTEXT)
    assert "NOTIFY_EMAIL: the notification could not be delivered" in caplog.text


@pytest.mark.parametrize("path", ["/moved", "/broken", "/gone"])
def test_an_answer_of_the_webhook_fails_nothing(
    requested: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Nor does it keep the other channels from being used."""
    url, requests = requested
    monkeypatch.setenv("NOTIFY_WEBHOOK_URL", url + path)
    channels.deliver(MESSAGE, CONTEXT)
    assert requests[0] == f"POST {path}"


def test_the_heartbeat_is_requested(requested: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever misses it tells."""
    url, requests = requested
    channels.heartbeat()
    monkeypatch.setenv("NOTIFY_HEARTBEAT_URL", f"{url}/ping")
    channels.heartbeat()
    assert requests == ["GET /ping"]


def test_apprise_is_used_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where it is not, that is said."""
    monkeypatch.setenv("NOTIFY_APPRISE_URLS", "ntfy://one tgram://two")
    monkeypatch.setitem(sys.modules, "apprise", None)
    channels.deliver(MESSAGE, CONTEXT)
    assert "NOTIFY_APPRISE_URLS: the notification could not be delivered" in caplog.text
    sent: list[Any] = []

    def taken(url: str = "", body: str = "") -> bool:
        sent.append(url or body)
        return True

    apprise = SimpleNamespace(Apprise=lambda: SimpleNamespace(add=taken, notify=taken))
    monkeypatch.setitem(sys.modules, "apprise", cast("Any", apprise))
    channels.deliver(MESSAGE, CONTEXT)
    assert sent == ["ntfy://one", "tgram://two", MESSAGE["text"]]
