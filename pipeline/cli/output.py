"""What the commands print: tables and facts for people, JSON for programs."""

import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from components.errors import Failure
from components.formatting import percent
from components.public_text import public
from components.system.streams import AnswerLost, answer, write

if TYPE_CHECKING:
    from pipeline.run_record import RunRecord

WIDTH = 200  # columns, where a file or a program takes the answer
RUN_JSON = ("run", "state", "stages", "accuracy", "model", "promotion", "report", "error")


def print_json(value: object) -> None:
    answer(json.dumps(public(value), indent=2))


@contextmanager
def failures_printed(as_json: bool) -> Iterator[None]:
    """Print a Failure that ends the block, too, where a program reads the answer *as_json*."""
    from components.system.processes import failure_message

    try:
        yield
    except Failure as failure:
        if as_json:
            with suppress(AnswerLost):
                print_json(failure_message(failure))
        raise


def run_json(record: "RunRecord") -> dict[str, object]:
    """The record as `run --json`, `show --json` and `runs --json` print it."""
    document = asdict(record)
    return {name: document[name] for name in RUN_JSON}


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """A line for each fact that has a value."""
    answer("\n".join(f"{name:<12} {value}" for name, value in facts if value))


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    cells = [[public(cell) for cell in row] for row in rows]
    write(_plain([[*head], *cells]) or _drawn(head, cells))


def _plain(lines: Sequence[Sequence[str]]) -> str:
    """The table as Rich draws it, in a fifth of the time; "" for a terminal, and where a cell is wide or wraps."""
    simple = all(cell.isascii() and cell.isprintable() for line in lines for cell in line)
    if not simple or sys.stdout.isatty() or not (sys.stdout.encoding or "").lower().startswith("utf"):
        return ""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    whole = sum(widths) + 3 * len(widths) - 1
    if whole > WIDTH:
        return ""
    head, *rows = (f" {'   '.join(map(str.ljust, line, widths))} " for line in lines)
    return "\n".join((" " * whole, head, f" {'─' * (whole - 2)} ", *rows, " " * whole))


def _drawn(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))  # a text, as "[red]" in a name is no markup
    terminal, encoding = sys.stdout.isatty(), sys.stdout.encoding  # in ASCII, Rich draws with ASCII
    printed = io.TextIOWrapper(io.BytesIO(), encoding, errors="backslashreplace")
    Console(file=printed, force_terminal=terminal, width=None if terminal else WIDTH, highlight=False).print(table)
    printed.seek(0)
    return printed.read().removesuffix("\n")


def accuracy(share: float | None) -> str:
    return "" if share is None else percent(share)
