"""Progress of a stage: a moving bar on a terminal, a plain line every few seconds in a log."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

SECONDS_BETWEEN_LINES = 10.0


class Advance(Protocol):
    def __call__(self, done: int, note: str = "") -> None: ...


def say(text: str) -> None:
    """Print one line to standard error, apart from a `--json` answer on standard output."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """Show the progress of *label*: call the yielded function with the amount done so far and a short note."""
    if not sys.stderr.isatty():
        yield _lines(label, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(label, total=total, note="")
        yield lambda done, note="": bars.update(task, completed=done, note=note)


def _lines(label: str, total: int) -> Advance:
    last = time.monotonic()

    def advance(done: int, note: str = "") -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            say(f"  {label} {done:,} of {total:,} {note}".rstrip())

    return advance
