"""A table of labels: CSV, TSV or Parquet with a column of file names and one of labels, read row by row.

Nothing grows with the number of rows. Text is UTF-8, or UTF-16 with a byte order mark, as spreadsheets write it.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

from components.errors import DataRejected
from components.formatting import did_you_mean
from components.ingest.reading.read_errors import read_errors
from components.settings.sections import Ingest
from components.system.files import open_regular

SUFFIXES = (".csv", ".tsv", ".parquet")
# how people call the two columns, in lower case and without separators, the likeliest first
FILE_COLUMNS = (
    *("file", "filename", "filepath", "image", "imagefile", "imagename", "imagepath", "imageid", "img", "imgname"),
    *("path", "name", "picture", "photo", "files", "images", "id", "idcode", "uuid"),
)
LABEL_COLUMNS = (
    *("label", "class", "classname", "labelname", "category", "categoryname", "target", "species", "breed"),
    *("diagnosis", "dx", "variety", "type", "kind", "tag", "y", "labels", "classid", "labelid", "categoryid"),
)
DELIMITERS = ",;\t|"
BATCH_ROWS = 65_536
LONGEST_LINE = 2**20  # characters
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Row(NamedTuple):
    file: str
    label: str


class Columns(NamedTuple):
    """The positions of the two columns."""

    file: int
    label: int


def rows(table: Path, params: Ingest) -> Iterator[Row]:
    """The rows of *table*; raises DataRejected where it cannot be read, or its columns are unknown."""
    return _parquet_rows(table, params) if table.suffix.lower() == ".parquet" else _text_rows(table, params)


def _text_rows(table: Path, params: Ingest) -> Iterator[Row]:
    with _text(table) as lines:
        head = next(lines, "")
        columns = _columns(table, _cells(head, _delimiter(head)), params)
        for cells in csv.reader(lines, delimiter=_delimiter(head)):
            if cells:
                yield Row(*(cells[column] if column < len(cells) else "" for column in columns))


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _delimiter(head: str) -> str:
    return max(DELIMITERS, key=head.count)


@contextmanager
def _text(table: Path) -> Iterator[Iterator[str]]:
    """The lines of *table*; what is wrong with its bytes is a DataRejected."""
    with read_errors(table), open_regular(table) as file:
        encoding = "utf-16" if file.peek(2)[:2] in UTF_16 else "utf-8-sig"
        text = io.TextIOWrapper(file, encoding, newline="")
        try:
            yield iter(lambda: text.readline(LONGEST_LINE), "")
        except UnicodeError as error:
            reason = f" ({error.object[error.start :][:4]!r})" if isinstance(error, UnicodeDecodeError) else ""
            raise DataRejected(f"{table} is not text in UTF-8{reason}; save it as UTF-8") from None
        except csv.Error as error:
            raise DataRejected(f"{table} cannot be read as a table ({error}); save it as CSV in UTF-8") from None


def _parquet_rows(table: Path, params: Ingest) -> Iterator[Row]:
    with _parquet(table) as file:
        schema = file.schema_arrow
        columns = _columns(table, schema.names, params)
        names = [schema.names[position] for position in columns]
        for name in names:
            if not _is_plain(schema.field(name).type):
                raise DataRejected(
                    f"{table}: the column {name} holds {schema.field(name).type}; expected text or whole numbers"
                )
        for batch in file.iter_batches(BATCH_ROWS, columns=names):
            files, labels = (batch.column(name).to_pylist() for name in names)
            yield from (Row(_cell(file), _cell(label)) for file, label in zip(files, labels, strict=True))


def _cell(value: object) -> str:
    return "" if value is None else str(value)


@contextmanager
def _parquet(table: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with read_errors(table), open_regular(table) as source:
        try:
            yield pq.ParquetFile(source)
        except (pa.ArrowException, ValueError, OSError) as error:  # text that is no UTF-8 is a ValueError
            if isinstance(error, OSError) and error.errno is not None:
                raise
            reason = " ".join(str(error).split())[:100]
            raise DataRejected(f"{table} cannot be read as Parquet ({reason}); write it again") from None


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(is_text or types.is_integer(kind))


def _columns(table: Path, names: Sequence[str], params: Ingest) -> Columns:
    """The positions of the two columns among *names*; raises DataRejected where one is missing."""
    file, label = _positions(names, params)
    for position, kind, setting in ((file, "file names", "file_column"), (label, "labels", "label_column")):
        if position is None:
            chosen = getattr(params, setting)
            what = f"no column {chosen!r}, ingest.{setting}" if chosen else f"no column that is known to hold {kind}"
            hint = did_you_mean(chosen, names) or f"name one with --set ingest.{setting}=COLUMN"
            raise DataRejected(f"{table} has {what}, among {_listed(names)}; {hint}")
    return Columns(cast("int", file), cast("int", label))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:10]) + (", ..." if len(names) > 10 else "")


def _positions(names: Sequence[str], params: Ingest) -> tuple[int | None, int | None]:
    """The columns of files and of labels among *names*; of two columns, the other one is the labels."""
    file = _position(names, params.file_column, FILE_COLUMNS)
    label = _position(names, params.label_column, LABEL_COLUMNS)
    if label is None and not params.label_column and file is not None and len(names) == 2:
        label = 1 - file
    return file, label


def _position(names: Sequence[str], chosen: str, known: Sequence[str]) -> int | None:
    if chosen:
        return names.index(chosen) if chosen in names else None
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    return next((plain.index(name) for name in known if name in plain), None)
