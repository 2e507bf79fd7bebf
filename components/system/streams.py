"""The three standard streams, whatever a shell, a supervisor or a full disk made of them.

A process that is started with a stream closed (`2>&-`) would give its number to the next file that it opens, and what
a library prints there would land in that file: in a database, for one. So a closed stream is opened on /dev/null.
"""

import contextlib
import io
import os
import sys
import threading
from collections.abc import Iterator

from components.errors import Failure
from components.public_text import public

NAMES = ("stdin", "stdout", "stderr")
_SILENCE = threading.RLock()


class AnswerLost(Failure):
    """Standard output does not take the answer of a command: its disk is full."""


def open_streams() -> None:
    """Open each standard stream that is closed, and have all of them take every character.

    To be called first in a program: whatever it opens before may have the number of a closed stream already.
    """
    for number, name in enumerate(NAMES):
        if _is_closed(number):
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - a number
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False


@contextlib.contextmanager
def no_stderr() -> Iterator[None]:
    """Silence file descriptor 2: libraries written in C and C++ log there, past Python's sys.stderr.

    One thread at a time, as a second one would keep the silence and restore that.
    """
    with _SILENCE:
        kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(null)


def answer(text: str) -> None:
    """Print *text*, what a command was asked for, to standard output; raises AnswerLost where that is impossible."""
    write(public(text))


def write(text: str) -> None:
    """Print *text* as it is, with the codes that colour it on a terminal; raises as `answer` does."""
    try:
        print(text, flush=True)  # noqa: T201 - the answers' one way out
    except BrokenPipeError:  # the reader has what it wanted, as `| head` has
        raise
    except OSError as error:
        raise AnswerLost(f"the answer cannot be written to standard output ({error.strerror})") from None


def settle_streams() -> None:
    """Drop what standard output and error do not take: the interpreter would try once more and fail at its exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(io.UnsupportedOperation), open(os.devnull, "wb") as nothing:  # noqa: PTH123
                os.dup2(nothing.fileno(), stream.fileno())
                stream.flush()
