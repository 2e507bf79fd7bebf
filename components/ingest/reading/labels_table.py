"""A table of labels: CSV, TSV or Parquet with a column of file names, one of labels and perhaps one of splits.

It is read row by row: nothing grows with the number of rows. Text is UTF-8, or UTF-16 with a byte order mark, as
spreadsheets write it.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, cast

from components.data.pictures.read_errors import read_errors
from components.errors import DataRejected
from components.formatting import did_you_mean
from components.settings.sections import NO_COLUMN, Ingest
from components.system.files import open_regular

SUFFIXES = (".csv", ".tsv", ".parquet")
# how people call the columns, in lower case and without separators, the likeliest first
FILE_COLUMNS = (
    *("file", "filename", "filepath", "image", "imagefile", "imagename", "imagepath", "imageid", "img", "imgname"),
    *("path", "name", "picture", "photo", "files", "images", "id", "idcode", "uuid"),
)
LABEL_COLUMNS = (
    *("label", "class", "classname", "labelname", "category", "categoryname", "target", "species", "breed"),
    *("diagnosis", "dx", "variety", "type", "kind", "tag", "y", "labels", "classid", "labelid", "categoryid"),
)
SPLIT_COLUMNS = (
    *("split", "splits", "splitname", "datasplit", "set", "subset", "partition", "fold", "setname", "dataset"),
)
DELIMITERS = ",;\t|"
BATCH_ROWS = 65_536
LONGEST_LINE = 2**20  # characters
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Row(NamedTuple):
    file: str
    label: str
    split: str = ""


class Columns(NamedTuple):
    """All names in the head of a table, and the positions of the columns that are read; None for no splits."""

    names: Sequence[str]
    file: int
    label: int
    split: int | None
    is_split_set: bool = False  # by the user, not found by its name

    @property
    def used(self) -> list[int]:
        return [self.file, self.label] if self.split is None else [self.file, self.label, self.split]


def find_columns(table: Path, params: Ingest) -> Columns:
    """The columns of *table*; raises DataRejected where it cannot be read, or they are unknown."""
    if table.suffix.lower() == ".parquet":
        with _parquet(table) as file:
            return _parquet_columns(table, file.schema_arrow, params)
    with _text(table) as lines:
        head = next(lines, "")
    return _columns(table, _cells(head, _delimiter(head)), params)


def rows(table: Path, columns: Columns) -> Iterator[Row]:
    """The rows of *table*, what *columns* says of each; raises DataRejected where it cannot be read."""
    return _parquet_rows(table, columns) if table.suffix.lower() == ".parquet" else _text_rows(table, columns)


def _text_rows(table: Path, columns: Columns) -> Iterator[Row]:
    with _text(table) as lines:
        for cells in csv.reader(lines, delimiter=_delimiter(next(lines, ""))):
            if cells:
                yield Row(*(cells[column] if column < len(cells) else "" for column in columns.used))


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


def _parquet_columns(table: Path, schema: Any, params: Ingest) -> Columns:
    """The columns in *schema*, each of text or whole numbers; one that has only the name of splits is left."""
    found = _columns(table, schema.names, params)
    if found.split is not None and not found.is_split_set and not _is_plain(schema.field(found.split).type):
        found = found._replace(split=None)
    for column in found.used:
        kind = schema.field(column).type
        if not _is_plain(kind):
            raise DataRejected(
                f"{table}: the column {schema.names[column]} holds {kind}; expected text or whole numbers"
            )
    return found


def _parquet_rows(table: Path, columns: Columns) -> Iterator[Row]:
    names = [columns.names[position] for position in columns.used]
    with _parquet(table) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=names):
            cells = (map(_cell, batch.column(name).to_pylist()) for name in names)
            yield from (Row(*row) for row in zip(*cells, strict=True))


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
    """The columns among *names*; raises DataRejected where one that is needed or set is missing."""
    file = _position(names, params.file_column, FILE_COLUMNS)
    label = _position(names, params.label_column, LABEL_COLUMNS)
    split = _split_position(names, params, (file, label))
    others = [position for position in range(len(names)) if position not in (file, split)]
    if label is None and not params.label_column and file is not None and len(others) == 1:
        label = others[0]
    wanted = [(file, "file names", "file_column"), (label, "labels", "label_column")]
    if is_split_set := params.split_column not in ("", NO_COLUMN):
        wanted.append((split, "splits", "split_column"))
    for position, kind, setting in wanted:
        if position is None:
            _refuse(table, names, kind, setting, getattr(params, setting))
    return Columns(names, cast("int", file), cast("int", label), split, is_split_set)


def _split_position(names: Sequence[str], params: Ingest, others: Sequence[int | None]) -> int | None:
    """The column of splits; one that is found by its name is none of the *others*, and not the second of two."""
    if params.split_column == NO_COLUMN or (not params.split_column and len(names) < 3):
        return None
    position = _position(names, params.split_column, SPLIT_COLUMNS)
    return position if params.split_column or position not in others else None


def _refuse(table: Path, names: Sequence[str], kind: str, setting: str, chosen: str) -> NoReturn:
    what = f"no column {chosen!r}, ingest.{setting}" if chosen else f"no column that is known to hold {kind}"
    hint = did_you_mean(chosen, names) or f"name one with --set ingest.{setting}=COLUMN"
    raise DataRejected(f"{table} has {what}, among {_listed(names)}; {hint}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:10]) + (", ..." if len(names) > 10 else "")


def _position(names: Sequence[str], chosen: str, known: Sequence[str]) -> int | None:
    if chosen:
        return names.index(chosen) if chosen in names else None
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    return next((plain.index(name) for name in known if name in plain), None)
