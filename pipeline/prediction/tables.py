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
from typing import IO

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
    """By way of CSV: pyarrow imports pandas before it converts an object of Python, to know those of pandas."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    kinds = {"index": pa.int64(), "probability": pa.float64()}
    schema = pa.schema([(name, kinds.get(name.partition("_")[0], pa.string())) for name in columns(top)])
    parsing = arrow_csv.ParseOptions(newlines_in_values=True)
    converting = arrow_csv.ConvertOptions(column_types=schema, null_values=[""], strings_can_be_null=True)
    remaining = iter(rows)
    with parquet.ParquetWriter(file, schema) as table:
        while part := list(itertools.islice(remaining, ROW_GROUP)):
            text = io.BytesIO()
            write_csv(part, top, text)
            content = pa.BufferReader(text.getvalue())
            table.write_table(arrow_csv.read_csv(content, parse_options=parsing, convert_options=converting))


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
