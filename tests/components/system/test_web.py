"""Web addresses are opened, and no server leads elsewhere, drips, or goes on for ever."""

import socket
import threading
from http.client import HTTPException

import pytest

from components.system import pace, web
from tests.support.unkind_servers import (
    OK,
    Answer,
    cut_off,
    dripping,
    dripping_header,
    huge,
    not_http,
    serving,
    silent,
    whole,
)

SECONDS = 0.2


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def redirecting(to: str) -> Answer:
    def answer(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(f"HTTP/1.0 302 Elsewhere\r\nLocation: {to}\r\n\r\n".encode())

    return answer


@pytest.mark.parametrize("most", [None, 1000])
def test_an_address_is_read(most: int | None) -> None:
    with serving(whole) as url, web.open_url(url, SECONDS, most) as response:
        assert response.read() == b"hello"


@pytest.mark.parametrize("most", [None, 1000])
def test_a_redirection_leads_to_web_addresses_alone(most: int | None) -> None:
    """Not to ftp, which urllib follows, nor to a file."""
    with serving(whole) as good, serving(redirecting(good)) as url, web.open_url(url, SECONDS, most) as response:
        assert response.read() == b"hello"
    for elsewhere in ("ftp://127.0.0.1:1/x", "file:///etc/passwd"):
        with serving(redirecting(elsewhere)) as url, pytest.raises(OSError, match=f"302.*edirect.*{elsewhere}"):
            web.open_url(url, SECONDS, most)


@pytest.mark.parametrize("answer", [dripping, dripping_header], ids=lambda answer: answer.__name__)
def test_an_answer_that_drips_is_refused(answer: Answer) -> None:
    """In its headers or its body, though no time-out ever passes."""
    with serving(answer) as url, pytest.raises(pace.Refused, match="only"):
        web.open_url(url, SECONDS, 10_000).read()


def test_an_answer_that_does_not_end_is_refused() -> None:
    with serving(huge) as url, pytest.raises(pace.Refused, match="more than the expected 10,000 bytes"):
        web.open_url(url, SECONDS, 10_000).read()


@pytest.mark.parametrize("answer", [silent, not_http, cut_off], ids=lambda answer: answer.__name__)
def test_any_other_answer_is_an_error_that_callers_know(answer: Answer) -> None:
    with serving(answer) as url, pytest.raises((OSError, HTTPException)):
        web.open_url(url, SECONDS, 10_000).read()


def test_a_slow_start_within_the_time_out_is_fine() -> None:
    """The pace counts from twice the time-out on."""

    def late(connection: socket.socket, ended: threading.Event) -> None:
        ended.wait(0.75 * SECONDS)
        connection.sendall(OK + b"\r\nhel")
        ended.wait(0.75 * SECONDS)
        connection.sendall(b"lo")

    with serving(late) as url, web.open_url(url, SECONDS, 10_000) as response:
        assert response.read() == b"hello"
