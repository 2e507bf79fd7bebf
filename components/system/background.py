"""Work in a thread of its own: while a block runs, or for so many seconds."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run *work* in a thread until the block ends: the event that *work* is called with is set then."""
    ended = threading.Event()
    thread = threading.Thread(target=work, args=(ended,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Attempt:
    """A call in a thread of its own, which can be given up.

    No time-out covers the system's look-up of a host name, or a server that sends a byte now and then.
    """

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._call()
        except Exception as error:  # raised where the attempt is waited for
            self._problem = error

    def ended(self, seconds: float) -> bool:
        """Whether the call has ended, waited for at most *seconds*; raises what it raised."""
        self._thread.join(seconds)
        if self._problem:
            raise self._problem
        return not self._thread.is_alive()


def within(seconds: float, call: Callable[[], object]) -> None:
    """Call *call*; raises what it raises, and TimeoutError where it has not ended after so many *seconds*."""
    if not Attempt(call).ended(seconds):
        raise TimeoutError(f"no answer within {seconds:g} s")
