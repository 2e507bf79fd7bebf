"""Whether an address answers, known within a given number of seconds; downloads that are neither endless nor huge."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from components.system.background import Attempt, within
from components.system.pace import Pace

if TYPE_CHECKING:
    from http.client import HTTPResponse

SILENCE_SECONDS = 30.0  # until something arrives
CHUNK = 2**16
LOOK_SECONDS = 0.5


def why_unreachable(url: str, seconds: float) -> Exception | None:
    """Why *url* cannot be opened, known after *seconds* at the latest; None where it can."""
    try:
        within(seconds, lambda: _open(url, seconds))
    except OSError as problem:
        return problem
    return None


def download(url: str, most: int) -> bytes:
    """The at most *most* bytes that *url* serves; raises OSError, Refused where they are more or come too slowly."""
    received, pace = bytearray(), Pace(most, SILENCE_SECONDS)
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
