"""What the commands print: tables and facts for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from components.formatting import percent

if TYPE_CHECKING:
    from pipeline.run_record import RunRecord

RUN_JSON = ("run", "state", "stages", "accuracy", "model", "report", "error")


def print_json(value: object) -> None:
    json.dump(value, sys.stdout, indent=2)
    print()


def run_json(record: "RunRecord") -> dict[str, object]:
    """The record as `run --json`, `show --json` and `runs --json` print it."""
    document = asdict(record)
    return {name: document[name] for name in RUN_JSON}


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """A line for each fact that has a value."""
    for name, value in facts:
        if value:
            print(f"{name:<12} {value}")


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 200, soft_wrap=False, highlight=False)
    console.print(table)


def accuracy(share: float | None) -> str:
    return "" if share is None else percent(share)
