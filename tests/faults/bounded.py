"""What an attempt may take: SECONDS, and MEMORY bytes more than before; a refusal is a right end of it."""

import resource
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress

from components.errors import Failure

SECONDS = 30
MEMORY = 300 * 2**20


class TooSlow(BaseException):
    """The attempt takes too long; no `except Exception` of the code hides it."""


def problem_of(attempt: Callable[[], object]) -> str:
    """What is wrong with how *attempt* ends: the traceback of what it raises but a Failure; "" for nothing."""
    signal.signal(signal.SIGALRM, _raise_too_slow)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.alarm(SECONDS)
    try:
        with suppress(Failure):  # a refusal in a sentence is what is expected
            attempt()
    except (Exception, TooSlow):
        return traceback.format_exc(limit=-4)
    finally:
        signal.alarm(0)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    return f"the process grew by {grown / 2**20:.0f} MB" if grown > MEMORY else ""


def _raise_too_slow(*_: object) -> None:
    raise TooSlow(f"more than {SECONDS} s")
