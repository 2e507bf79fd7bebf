"""Files of rows: CSV and Parquet, a column for the file, its image, each of the most probable classes, and the error.

file,index,class,probability,class_2,probability_2,error
"""

import csv
import errno
import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from components.errors import StorageFailed
from components.system.files import written_atomically
from pipeline.prediction.rows import DIGITS, Row

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
ROW_GROUP = 2**16  # rows of a Parquet file that are in memory at once

Writer = Callable[[Iterable[Row], int, IO[bytes]], None]


def columns(top: int) -> list[str]:
    """The names of the columns for the *top* most probable classes."""
    suffixes = ["", *(f"_{place}" for place in range(2, top + 1))]
    return ["file", "index", *(f"{name}{suffix}" for suffix in suffixes for name in ("class", "probability")), "error"]


def write(rows: Iterable[Row], top: int, target: Path, writer: Writer) -> None:
    """Write *target* whole, or not at all."""
    with write_errors(target), written_atomically(target, flush=True) as file:
        writer(rows, top, file)


def write_csv(rows: Iterable[Row], top: int, file: IO[bytes]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns(top))
    for row in rows:
        guesses = [cell for guess in row.guesses for cell in (guess.name, f"{guess.probability:.{DIGITS}f}")]
        table.writerow([row.file, row.number, *guesses, *[""] * 2 * (top - len(row.guesses)), row.error])
    text.detach()


def write_parquet(rows: Iterable[Row], top: int, file: IO[bytes]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {"index": pa.int64(), "probability": pa.float64()}
    schema = pa.schema([(name, kinds.get(name.partition("_")[0], pa.string())) for name in columns(top)])
    remaining = iter(rows)
    with parquet.ParquetWriter(file, schema) as table:
        while part := list(itertools.islice(remaining, ROW_GROUP)):
            table.write_table(pa.table([list(column) for column in zip(*_cells(part, top), strict=True)], schema))


def _cells(rows: Iterable[Row], top: int) -> Iterator[list[Any]]:
    """A list for each row; what it does not have is None."""
    for row in rows:
        guesses = [*row.guesses, *[(None, None)] * (top - len(row.guesses))]
        yield [row.file, row.number, *itertools.chain.from_iterable(guesses), row.error or None]


@contextmanager
def write_errors(target: Path) -> Iterator[None]:
    """Turn the system's error while *target* is written into a StorageFailed."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            sentence = f"the disk of {target.absolute().parent} is full; free some space, then go on with --resume"
        else:
            sentence = f"{target} cannot be written ({error.strerror or error}); name a file that can"
        raise StorageFailed(sentence) from error
