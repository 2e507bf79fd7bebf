"""Progress of a stage: a bar on a terminal; in a log a plain line after two seconds, and then every ten."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Protocol, TextIO, cast

from components.printed_commands import runnable
from components.public_text import public

FIRST_SECONDS, SECONDS_BETWEEN_LINES = 2.0, 10.0


class Advance(Protocol):
    def __call__(self, done: int, note: str = "") -> None: ...


def say(text: str) -> None:
    """Tell the user: on standard error, or wherever `said_to` directs it."""
    _outlets[-1](text)


@contextmanager
def said_to(outlet: Callable[[str], None]) -> Iterator[None]:
    """Give what is said in the block to *outlet*, as it is stored: commands begin with "python"."""
    _outlets.append(outlet)
    try:
        yield
    finally:
        _outlets.remove(outlet)


def _print(text: str) -> None:
    """Print one line to standard error, apart from a `--json` answer on standard output.

    Where nobody can read it, on a full disk or after `| head` has ended, the work goes on without it.
    """
    if sys.stderr:  # None where a program without a console has none; print would take standard output
        with suppress(OSError):
            print(public(runnable(text)), file=sys.stderr, flush=True)


_outlets: list[Callable[[str], None]] = [_print]


class Terminal:
    """A terminal that may be closed while the work goes on, as after `disown`: what it does not take is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def progress(label: str, total: int = 0) -> Iterator[Advance]:
    """Show the progress of *label*: call the yielded function with the amount done so far and a short note.

    A *total* of 0 is unknown.
    """
    if not (sys.stderr and sys.stderr.isatty()):
        yield _lines(label, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    text, note = (TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[note]"))
    columns = (text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), note)
    console = Console(file=cast("IO[str]", Terminal(sys.stderr)))
    # an answer is printed where it belongs, a file or a pipe, while the bar is shown
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bars:
        task = bars.add_task(label, total=total or None, note="")
        yield lambda done, note="": bars.update(task, completed=done, note=note)


def _lines(label: str, total: int) -> Advance:
    due = time.monotonic() + FIRST_SECONDS

    def advance(done: int, note: str = "") -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + SECONDS_BETWEEN_LINES
            say(f"  {label} {done:,}{f' of {total:,}' if total else ''} {note}".rstrip())

    return advance
