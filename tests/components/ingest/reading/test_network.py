"""Downloads end: with the bytes, or with a sentence, whatever the server does."""

import pytest

from components.ingest.reading import network
from tests.support.unkind_servers import (
    Answer,
    bad_length,
    cut_off,
    dripping,
    dripping_header,
    failing,
    huge,
    not_http,
    serving,
    silent,
    whole,
    without_length,
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(network, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(network, "LOOK_SECONDS", 0.05)


@pytest.mark.parametrize("answer", [whole, without_length])
def test_a_file_is_downloaded(answer: Answer) -> None:
    with serving(answer) as url:
        assert network.download(url, 5) == b"hello"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (dripping, r"only [\d,]+ bytes in "),
        (dripping_header, "only 0 bytes in "),
        (silent, "timed out|only 0 bytes in "),
        (huge, "more than the expected 100,000 bytes"),
        (cut_off, "ended 4 bytes too early"),
        (not_http, "220 ftp ready"),
        (bad_length, "IncompleteRead|invalid"),
        (failing, "503"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_server_that_does_not_serve_the_file_is_given_up(answer: Answer, message: str) -> None:
    """A server that drips is given up, though no time-out ever passes, and one that never ends is."""
    with serving(answer) as url, pytest.raises(OSError, match=message):
        network.download(url, 100_000)


def test_a_reason_is_one_line() -> None:
    """Whatever the server sends in place of a status."""
    assert network.reason(ConnectionError("HTTP/1.1 abc\r\n\nx" + "y" * 1000)) == ("HTTP/1.1 abc x" + "y" * 1000)[:200]
