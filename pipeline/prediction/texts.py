"""Rows as a user or a program reads them on standard output: blocks of lines, as they come."""

import json
from collections.abc import Iterable, Iterator

from components.artifact_files import ModelInfo
from components.formatting import percent
from components.public_text import public
from pipeline.prediction.rows import Row


def lines(blocks: Iterable[list[Row]]) -> Iterator[str]:
    """A line for each row: seven.png: 7 (99.98 %), 1 (0.01 %)"""
    return ("\n".join(map(_line, rows)) for rows in blocks)


def _line(row: Row) -> str:
    guesses = ", ".join(f"{public(guess.name)} ({percent(guess.probability)})" for guess in row.guesses)
    return f"{row.picture}: {guesses or f'error: {row.error}'}"


def json_document(info: ModelInfo, blocks: Iterable[list[Row]]) -> Iterator[str]:
    """One object, with a line for each row."""
    head = json.dumps({"model": info["model"], "version": info["version"]})
    yield f'{head[:-1]}, "rows": ['
    count, errors, held = 0, 0, list[str]()  # the last row, until it is known whether a comma comes after it
    for rows in blocks:
        *whole, last = [*held, *(json.dumps(_object(row)) for row in rows)]
        if whole:
            yield ",\n".join(whole) + ","
        count, errors, held = count + len(rows), errors + sum(bool(row.error) for row in rows), [last]
    yield f'{"".join(held)}\n], "images": {count - errors}, "errors": {errors}}}'


def _object(row: Row) -> dict[str, object]:
    named: dict[str, object] = {"file": row.file}
    if row.number is not None:
        named["index"] = row.number
    if row.error:
        return {**named, "error": row.error}
    top = [{"class": public(guess.name), "probability": guess.probability} for guess in row.guesses]
    return {**named, **top[0], "top": top}
