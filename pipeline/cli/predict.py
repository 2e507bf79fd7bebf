"""Command predict: what a registered model says of pictures."""

import sys
import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import ConfigError, RegistryUnreachable
from components.formatting import percent
from components.progress import Advance, progress, say
from components.system.fast_import import importing
from components.system.streams import write
from pipeline.cli import completion
from pipeline.cli.options import Option, command, home

if TYPE_CHECKING:
    from components.artifact_files import ModelInfo
    from components.inference.published import Published
    from pipeline.prediction.journal import Journal
    from pipeline.prediction.reading import Source
    from pipeline.prediction.rows import Predictor, Row

FEW = 256  # pictures that are answered before anybody waits


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r}; expected how many classes, 1 or more")
    return int(text)


@command(
    "say what a registered model sees in pictures: class and probability of each file",
    Option("input", nargs="+", metavar="INPUT", help="pictures, folders, IDX files; - reads paths from standard input"),
    Option(
        *("--model", "--name"),
        default="",
        metavar="MODEL",
        completer=completion.models,
        help="registered model; needed where there are several",
    ),
    Option(
        "--version",
        default="champion",
        metavar="VERSION",
        completer=completion.versions,
        help="champion (where it is left out), another alias, or a version's number",
    ),
    Option("--top", type=_count, default=1, metavar="N", help="the N most probable classes (default: 1)"),
    Option("--json", action="store_true", help="print JSON, for programs"),
    Option("--csv", default="", metavar="FILE", help="write a table, CSV"),
    Option("--parquet", default="", metavar="FILE", help="write a table, Parquet"),
    Option("--resume", action="store_true", help="go on with the table of an interrupted run"),
)
def predict(options: Namespace) -> int:
    _check(options)
    began = time.perf_counter()
    published = _published(options)
    with importing("numpy"):
        from pipeline.prediction.inputs import sources

    inputs = sources(options.input, sys.stdin.buffer)
    predictor = _predictor(published, options.top)
    rows = _table if options.csv or options.parquet else _printed
    errors = rows(options, published, inputs, predictor)
    _summarize(published.info, predictor, time.perf_counter() - began)
    return 1 if errors else 0


def _check(options: Namespace) -> None:
    if sum(map(bool, (options.json, options.csv, options.parquet))) > 1:
        raise ConfigError("expected one of --json, --csv and --parquet")
    if options.resume and not (options.csv or options.parquet):
        raise ConfigError("--resume goes on with a file; name it with --csv or --parquet")


def _published(options: Namespace) -> "Published":
    from components.inference import published
    from components.registry.client import Registry
    from pipeline.cli.registry import check_name, only

    check_name(options.model)
    workspace = home()
    registry = Registry(workspace.tracking_uri)
    try:
        name = options.model or only(registry.names())
        return published.find(registry, name, options.version, workspace.exports)
    except RegistryUnreachable as error:
        raise RegistryUnreachable(
            f"{str(error).partition(';')[0]}; start it (make mlflow) or set MLFLOW_TRACKING_URI, or name files that "
            "are here with --model NAME --version NUMBER"
        ) from error


def _predictor(published: "Published", top: int) -> "Predictor":
    from components.inference import model_info
    from components.inference.classifier import Classifier
    from pipeline.prediction.rows import Predictor

    name = model_info.litert_file(published.info)
    model_info.verify(published.folder, published.info, [name])
    return Predictor(Classifier(published.folder / name), published.info, top)


def _printed(options: Namespace, published: "Published", found: "list[Source]", predictor: "Predictor") -> int:
    """Print the rows as they come; how many have an error."""
    from pipeline.prediction import texts

    with _progress(sum(map(len, found)), sys.stdout.isatty()) as advance:
        blocks = _advancing(predictor.rows(found, 0), 0, advance)
        for text in texts.json_document(published.info, blocks) if options.json else texts.lines(blocks):
            write(text)
    return predictor.errors


def _table(options: Namespace, published: "Published", found: "list[Source]", predictor: "Predictor") -> int:
    """Write the rows to the file that the options name; how many have an error."""
    from pipeline.prediction import journal, tables

    target = Path(options.csv or options.parquet)
    top = min(options.top, len(published.info["classes"]))
    version = published.version
    answering = journal.Answering(version.name, version.version, published.info["model_sha256"], top)
    with journal.opened(target, answering, options.resume) as rows:
        try:
            _append(rows, found, predictor)
        except KeyboardInterrupt:
            say(f"  {rows.count:,} rows are kept: go on with --resume")
            raise
        writer = tables.write_csv if options.csv else tables.write_parquet
        tables.write(rows.rows(), top, target, writer)
        rows.discard()
        say(f"  rows in {target}: {rows.count:,}" + (f", {rows.errors:,} with an error" if rows.errors else ""))
        return rows.errors


def _append(journal: "Journal", found: "list[Source]", predictor: "Predictor") -> None:
    """Answer for the pictures that have no row yet."""
    start, total = journal.resumed(name for source in found for name in source.names()), sum(map(len, found))
    if start:
        say(f"  {start:,} of {total:,} rows are there already")
    with _progress(total) as advance:
        for rows in _advancing(predictor.rows(found, start), start, advance):
            journal.append(rows)


@contextmanager
def _progress(total: int, shown_already: bool = False) -> Iterator[Advance | None]:
    """Progress of *total* pictures; none where they are few, or rows are *shown_already* on the terminal."""
    with nullcontext() if total <= FEW or shown_already else progress("predict", total) as advance:
        yield advance


def _advancing(blocks: "Iterable[list[Row]]", done: int, advance: Advance | None) -> "Iterator[list[Row]]":
    for rows in blocks:
        yield rows
        done += len(rows)
        if advance:
            advance(done)


def _summarize(info: "ModelInfo", predictor: "Predictor", seconds: float) -> None:
    """Say on standard error what was done by which model, and what a user may not expect."""
    count, errors, converted = predictor.count, predictor.errors, predictor.converted
    if converted:
        kinds = ("grey", "colour") if info["input"]["channels"] == "RGB" else ("colour", "grey")
        say(f"  converted from {kinds[0]} to {kinds[1]}, as the model takes them: {converted:,} of {count:,} pictures")
    if errors:
        say(f"  cannot be read: {errors:,} of {count:,} pictures")
    say(
        f"{count - errors:,} image{'' if count - errors == 1 else 's'} in {seconds:.1f} s: reading "
        f"{predictor.reading:.1f}, inference {predictor.inference:.1f}; version {info['version']} of {info['model']}, "
        f"accuracy {percent(info['accuracy'])}"
    )
