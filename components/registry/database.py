"""MLflow's database as a SQLite file: made whole or not at all, and read even after a write that was interrupted.

MLflow makes its tables in some 70 steps, each a transaction of its own: killed between two of them, it leaves a
database that neither MLflow nor anything else can open. So it is made under another name, and renamed when it is whole.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote

from components.errors import RegistryUnreachable
from components.progress import say
from components.system import locks
from components.system.files import flush

SECONDS = 5  # until another process has finished its write
SETTLED = 10.0  # seconds without a change, after which nobody is making a half-made database any more
JOURNALS = ("-journal", "-wal", "-shm")  # files that SQLite keeps beside a database
HEADER, ROLLBACK = 100, b"\1\1"  # bytes of SQLite's header; its versions for a reader and a writer, but for WAL mode
SCHEMA = "alembic_version"  # the table with the revision that the other tables have
FROM_THE_START = {SCHEMA, "workspaces"}  # tables that have rows before anybody stores something


def path_of(uri: str) -> Path | None:
    """The file of a sqlite:/// address, as SQLAlchemy decodes it; None for any other address."""
    prefix, scheme, path = uri.partition("sqlite:///")
    return Path(unquote(path.partition("?")[0])) if scheme and not prefix else None


def address_of(path: Path) -> str:
    """The sqlite:/// address of *path*: what SQLAlchemy would decode is encoded, everything else stays legible."""
    return f"sqlite:///{str(path).replace('%', '%25').replace('?', '%3F')}"


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to the existing database *path*, writable where the file is.

    A write that was interrupted is undone by the first reader that may write, which is why this is no mode=ro
    (https://www.sqlite.org/lockingv3.html#rollback). Raises sqlite3.Error.
    """
    address = f"file:{quote(os.fsencode(path.absolute()))}?mode=rw"
    with closing(sqlite3.connect(address, uri=True, timeout=SECONDS)) as connection:
        try:
            connection.execute("PRAGMA schema_version")  # the first read
        except sqlite3.OperationalError as error:
            if _may_not_undo(error, path):
                raise RegistryUnreachable(
                    f"a write to {path} was interrupted, and you may not write there, which undoing it takes; whoever "
                    "may: python -m pipeline models"
                ) from error
            raise
        yield connection


def state(path: Path) -> tuple[int, ...] | None:
    """What changes with every transaction in the database *path*; None where that shows in no such way.

    It is the file's change counter (https://www.sqlite.org/fileformat.html#file_change_counter) beside what the file
    system says. In WAL mode the counter stands still; while a journal exists, a write goes on or was interrupted.
    """
    try:
        with path.open("rb") as file:
            head, status = file.read(HEADER), os.fstat(file.fileno())
    except OSError:
        return None
    if len(head) < HEADER or head[18:20] != ROLLBACK or any(os.path.exists(f"{path}{end}") for end in JOURNALS):  # noqa: PTH110
        return None
    counter = int.from_bytes(head[24:28])
    return counter, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _may_not_undo(error: sqlite3.OperationalError, path: Path) -> bool:
    refused = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
    return refused and path.with_name(path.name + "-journal").exists()


def is_blank(connection: sqlite3.Connection) -> bool:
    """Whether nobody has stored anything in the database: there is no more than MLflow's experiment "Default"."""
    return not any(_has_content(connection, table) for table in _tables(connection) - FROM_THE_START)


def _tables(connection: sqlite3.Connection) -> set[str]:
    query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
    return {name for (name,) in connection.execute(query)}


def _has_content(connection: sqlite3.Connection, table: str) -> bool:
    beyond = "WHERE experiment_id != 0" if table.removeprefix("_alembic_tmp_") == "experiments" else ""
    query = f'SELECT 1 FROM "{table}" {beyond} LIMIT 1'  # noqa: S608 - the names are the database's own
    return connection.execute(query).fetchone() is not None


def prepare(path: Path) -> None:
    """Ensure that *path* is a database which MLflow can open; MLflow has to be loaded.

    One that MLflow only began to make, and in which nothing is stored, is set aside. One that holds something is left
    as it is. Of several processes one makes it, the others wait.
    """
    if _is_usable(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock(path):
        if not _is_settled(path):
            _set_aside(path)
            _make(path)


def _is_settled(path: Path) -> bool:
    """Whether the database is usable now or becomes so: another program may be making it in its place."""
    while not _is_usable(path):
        if not path.exists() or time.time() - path.stat().st_mtime > SETTLED:
            return False
        time.sleep(0.2)
    return True


def _is_usable(path: Path) -> bool:
    """Whether MLflow may open *path*: somebody stored something in it, or its tables are all there."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    with connected(path) as connection:
        tables = _tables(connection)
        if tables and ("experiments" not in tables or not is_blank(connection)):
            return True
        schema = connection.execute(f"SELECT version_num FROM {SCHEMA}").fetchone() if SCHEMA in tables else None  # noqa: S608
    return schema == (_latest_schema(),)


def _latest_schema() -> str | None:
    from alembic.script import ScriptDirectory
    from mlflow.store import db_migrations

    return ScriptDirectory(next(iter(db_migrations.__path__))).get_current_head()


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        locks.acquire(handle, f"MLflow's database {path.name}")
        yield
    finally:
        os.close(handle)


def _set_aside(path: Path) -> None:
    """Rename *path* and the journals beside it, which SQLite would take for those of the new database."""
    target = next(name for name in _broken(path) if not name.exists())
    if path.exists() and path.stat().st_size:
        say(f"  MLflow's database {path.name} is half made and holds nothing; it is set aside as {target.name}")
    for suffix in (*JOURNALS, ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))


def _broken(path: Path) -> Iterator[Path]:
    yield path.with_name(f"{path.name}.broken")
    number = 2
    while True:
        yield path.with_name(f"{path.name}.broken-{number}")
        number += 1


def _make(path: Path) -> None:
    """Have MLflow make its tables in a draft, and rename that."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    say(f"  creating MLflow's database {path.name}; this takes some seconds, once")
    draft = path.with_name(f".{path.name}.draft")
    for suffix in (*JOURNALS, ""):  # of a process that was killed
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    draft.touch()  # where this fails, on a full disk, MLflow would try for minutes without a word
    uri = address_of(draft)
    with no_stray_folders(uri):
        SqlAlchemyStore(uri, (path.parent / "mlartifacts").as_uri()).engine.dispose()
    draft.replace(path)
    flush(path.parent)


@contextmanager
def no_stray_folders(uri: str) -> Iterator[None]:
    """Remove the empty folders that MLflow makes in the block, as it takes an encoded address for a path."""
    parent = Path(uri.removeprefix("sqlite:///")).parent
    missing = [folder for folder in (parent, *parent.parents) if not folder.exists()] if "%" in uri else []
    try:
        yield
    finally:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
