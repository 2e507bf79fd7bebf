"""A registry of thousands of versions: read once, and of a server only what is asked for."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from components.registry import database, readers, rest
from components.registry.client import Registry
from components.registry.model_version import MODEL_SHA256_TAG
from tests.support.mlflow_server import add_version, mlflow_server


def fill(registry: Registry, folder: Path, versions: range) -> None:
    registry.create_model("m", "")
    for number in versions:
        tags = {MODEL_SHA256_TAG: f"d{number}", "accuracy": "0.9"}
        registry.client.create_model_version("m", folder.as_uri(), tags=tags)


@pytest.fixture
def filled(registry: Registry, tmp_path: Path) -> Registry:
    """Five versions in a database; the second is the champion, the last one the challenger."""
    fill(registry, tmp_path, range(1, 6))
    registry.set_alias("m", "champion", "2")
    registry.set_alias("m", "challenger", "5")
    return registry


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each SQL statement with which a database is read."""
    executed: list[str] = []
    connect = sqlite3.connect

    def traced(*args: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)  # type: ignore[call-overload]
        connection.set_trace_callback(executed.append)
        return connection

    monkeypatch.setattr("components.registry.database.sqlite3.connect", traced)
    return executed


def file_of(registry: Registry) -> Path:
    path = database.path_of(registry.uri)
    assert path
    return path


def test_more_versions_take_no_more_statements(filled: Registry, tmp_path: Path, statements: list[str]) -> None:
    """Their tags and aliases are read at once."""
    readers.versions(filled.uri, "m")
    few = len(statements)
    fill(filled, tmp_path, range(6, 16))
    statements.clear()
    assert len(readers.versions(filled.uri, "m")) == 15
    assert len(statements) == few


def test_a_database_that_nobody_wrote_to_is_read_once(filled: Registry, statements: list[str]) -> None:
    """A run with nothing to do asks for versions seven times."""
    before = filled.versions("m")
    statements.clear()
    assert filled.versions("m") == before
    assert filled.alias("m", "champion") == filled.version("m", "2") == filled.with_model("m", "d2")
    assert [version.version for version in filled.with_aliases("m")] == ["2", "5"]
    assert statements == []


def test_what_another_process_writes_is_seen(filled: Registry) -> None:
    """With the same size and, as on a coarse clock, the same time."""
    path = file_of(filled)
    champion, status = filled.alias("m", "champion"), path.stat()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE registered_model_aliases SET version = 3 WHERE alias = 'champion'")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    after = filled.alias("m", "champion")
    assert champion
    assert after
    assert (champion.version, after.version) == ("2", "3")


def test_a_database_whose_writes_do_not_show_is_read_each_time(filled: Registry) -> None:
    """In WAL mode the file itself changes later."""
    with closing(sqlite3.connect(file_of(filled))) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    assert database.state(file_of(filled)) is None
    with closing(sqlite3.connect(file_of(filled))) as connection:
        filled.versions("m")
        connection.execute("UPDATE registered_model_aliases SET version = 3 WHERE alias = 'champion'")
        connection.commit()
        after = filled.alias("m", "champion")
    assert after
    assert after.version == "3"


@pytest.mark.parametrize("journal", ["-journal", "-wal"])
def test_an_unfinished_write_has_no_state(filled: Registry, journal: str) -> None:
    """It may be undone, and the next one would look like it."""
    path = file_of(filled)
    assert database.state(path) is not None
    path.with_name(path.name + journal).write_bytes(b"")
    assert database.state(path) is None
    assert database.state(path.with_name("none.db")) is None


@pytest.fixture
def served(tmp_path: Path, empty_database: Path) -> Iterator[Registry]:
    """The same on a server."""
    with mlflow_server(tmp_path, empty_database) as address:
        registry = Registry(address)
        registry.create_model("m", "")
        for number in range(1, 6):
            add_version(registry, "m", {MODEL_SHA256_TAG: f"d{number}"})
        registry.set_alias("m", "champion", "2")
        registry.set_alias("m", "challenger", "5")
        yield registry


def test_a_server_sends_only_what_is_asked_for(served: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds to send a thousand versions; a version has its aliases and tags however it was found."""
    everything = served.versions("m")
    filters: list[str] = []
    response = rest.response

    def recorded(uri: str, endpoint: str, **query: str) -> object:
        filters.extend([query["filter"]] if endpoint.endswith("search") else [])
        return response(uri, endpoint, **query)

    monkeypatch.setattr("components.registry.rest.response", recorded)
    assert served.alias("m", "champion") == served.version("m", "2") == served.with_model("m", "d2") == everything[1]
    assert served.with_aliases("m") == [everything[1], everything[4]]
    assert served.with_model("m", "it's none") is served.version("m", "9") is served.alias("m", "none") is None
    assert served.alias("unknown", "champion") is None
    assert len(filters) == 2
    assert all(MODEL_SHA256_TAG in asked for asked in filters)
