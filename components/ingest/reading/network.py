"""Whether an address answers, known within a given number of seconds; downloads that are neither endless nor huge."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from components.system.background import Attempt, within

if TYPE_CHECKING:
    from http.client import HTTPResponse

SILENCE_SECONDS = 30.0  # until something arrives
SLOWEST = 8 * 2**10  # bytes a second on average, from then on
CHUNK = 2**16
LOOK_SECONDS = 0.5


class Refused(ConnectionError):
    """A download that is too slow or too large: another attempt would be, too."""


class Pace:
    """How fast a download has to be: a server that sends a byte now and then is given up by no time-out."""

    def __init__(self, most: int | None) -> None:
        """*most* is the number of bytes expected at most."""
        self._most, self._start = most, time.monotonic()

    def check(self, received: int) -> None:
        """Raise Refused where *received* bytes are too few by now, or too many."""
        seconds = time.monotonic() - self._start
        if received < SLOWEST * (seconds - SILENCE_SECONDS):
            raise Refused(f"only {received:,} bytes in {seconds:.0f} s")
        if self._most is not None and received > self._most:
            raise Refused(f"more than the expected {self._most:,} bytes")


def why_unreachable(url: str, seconds: float) -> Exception | None:
    """Why *url* cannot be opened, known after *seconds* at the latest; None where it can."""
    try:
        within(seconds, lambda: _open(url, seconds))
    except OSError as problem:
        return problem
    return None


def download(url: str, most: int) -> bytes:
    """The at most *most* bytes that *url* serves; raises OSError, Refused where they are more or come too slowly."""
    received, pace = bytearray(), Pace(most)
    transfer = Attempt(lambda: _open(url, SILENCE_SECONDS, lambda response: _read(response, received, pace)))
    while not transfer.ended(LOOK_SECONDS):
        pace.check(len(received))
    return bytes(received)


def reason(problem: Exception) -> str:
    """*problem* in a line, without urllib's wrapping: "Name or service not known"."""
    cause = getattr(problem, "reason", None) or problem
    return " ".join(str(getattr(cause, "strerror", None) or cause).split())[:200]


def _read(response: "HTTPResponse", received: bytearray, pace: Pace) -> None:
    while piece := response.read1(CHUNK):
        received += piece
        pace.check(len(received))
    if response.length:  # urllib does not complain
        raise ConnectionError(f"the connection ended {response.length:,} bytes too early")


def _open(url: str, seconds: float, read: "Callable[[HTTPResponse], None] | None" = None) -> None:
    """Open *url*, through the proxies of the environment, and *read* it; raises OSError, whatever went wrong."""
    import http.client
    import urllib.error

    from components.system.web import open_url

    try:
        with open_url(url, seconds) as response:
            if read:
                read(response)
    except urllib.error.HTTPError as error:
        error.close()
        raise
    except (http.client.HTTPException, ValueError) as error:
        raise ConnectionError(str(error)) from error
