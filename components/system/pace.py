"""How much an answer may be, and how slow: a server that sends a byte now and then is given up by no time-out."""

import time

SLOWEST = 8 * 2**10  # bytes a second on average, after the patience


class Refused(ConnectionError):
    """An answer that is too slow or too large: that to another attempt would be, too."""


class Pace:
    """Of one answer, from now on: at most *most* bytes, None for any number, and SLOWEST after *patience* seconds."""

    def __init__(self, most: int | None, patience: float) -> None:
        self._most, self._patience, self._start = most, patience, time.monotonic()

    def check(self, received: int) -> None:
        """Raise Refused where *received* bytes are too few by now, or too many."""
        seconds = time.monotonic() - self._start
        if received < SLOWEST * (seconds - self._patience):
            raise Refused(f"only {received:,} bytes in {seconds:.0f} s")
        if self._most is not None and received > self._most:
            raise Refused(f"more than the expected {self._most:,} bytes")
