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
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(public(cell)) for cell in row))  # a text, as "[red]" in a name is no markup
    terminal, encoding = sys.stdout.isatty(), sys.stdout.encoding  # in ASCII, Rich draws with ASCII
    printed = io.TextIOWrapper(io.BytesIO(), encoding, errors="backslashreplace")
    Console(file=printed, force_terminal=terminal, width=None if terminal else 200, highlight=False).print(table)
    printed.seek(0)
    write(printed.read().removesuffix("\n"))


def accuracy(share: float | None) -> str:
    return "" if share is None else percent(share)
