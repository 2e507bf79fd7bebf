"""Whether an address answers, known within a given number of seconds; downloads that are neither endless nor huge."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

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
    attempt = _InBackground(lambda: _open(url, seconds))
    return attempt.result if attempt.ended(seconds) else TimeoutError(f"no answer within {seconds:g} s")


def download(url: str, most: int) -> bytes:
    """The at most *most* bytes that *url* serves; raises OSError, Refused where they are more or come too slowly."""
    received, pace = bytearray(), Pace(most)
    transfer = _InBackground(lambda: _receive(url, received, pace))
    while not transfer.ended(LOOK_SECONDS):
        pace.check(len(received))
    if problem := transfer.result:
        raise problem if isinstance(problem, OSError) else ConnectionError(str(problem))
    return bytes(received)


def reason(problem: Exception) -> str:
    """*problem* without urllib's wrapping: "Name or service not known"."""
    cause = getattr(problem, "reason", None) or problem
    return str(getattr(cause, "strerror", None) or cause)


class _InBackground:
    """A call in a thread of its own, which can be given up: no time-out covers the system's look-up of a host name."""

    def __init__(self, call: Callable[[], Exception | None]) -> None:
        self.result: Exception | None = None
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.result = self._call()

    def ended(self, seconds: float) -> bool:
        """Whether the call has ended, waited for at most *seconds*."""
        self._thread.join(seconds)
        return not self._thread.is_alive()


def _receive(url: str, received: bytearray, pace: Pace) -> Exception | None:
    """Add what *url* serves to *received*, piece by piece; returns what went wrong."""
    return _open(url, SILENCE_SECONDS, lambda response: _read(response, received, pace))


def _read(response: "HTTPResponse", received: bytearray, pace: Pace) -> None:
    while piece := response.read1(CHUNK):
        received += piece
        pace.check(len(received))
    if response.length:  # urllib does not complain
        raise ConnectionError(f"the connection ended {response.length:,} bytes too early")


def _open(url: str, seconds: float, read: "Callable[[HTTPResponse], None] | None" = None) -> Exception | None:
    """Open *url*, through the proxies of the environment, and *read* it; returns what went wrong."""
    import http.client
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=seconds) as response:  # noqa: S310 - callers pass web addresses only
            if read:
                read(response)
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return error
    except (OSError, http.client.HTTPException, ValueError) as error:
        return error
