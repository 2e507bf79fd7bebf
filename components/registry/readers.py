"""Versions of a registered model, asked for in the quickest way that the registry's address allows.

sqlite:///...  the database file, read directly: 2 ms, where MLflow's client takes 2 s to start. The tables are those
               of one version of MLflow's schema; of any other, MLflow's client is asked
http(s)://...  the server's documented REST interface: https://mlflow.org/docs/latest/rest-api.html
anything else  MLflow's client, also where MLFLOW_TRACKING_... variables ask for credentials or certificates
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

SCHEMA = "dc11669786a5"  # the revision in MLflow 3.17's table alembic_version
SECONDS = 5  # of waiting for one answer
PAGE = 1000
VERSIONS = (
    """SELECT version, run_id, source, creation_time FROM model_versions
       WHERE name = ? AND workspace = 'default' AND current_stage != 'Deleted_Internal' ORDER BY version""",
    """SELECT alias, version FROM registered_model_aliases WHERE name = ? AND workspace = 'default' ORDER BY alias""",
    """SELECT version, key, value FROM model_version_tags WHERE name = ? AND workspace = 'default'""",
)
MODELS = "SELECT name FROM registered_models WHERE workspace = 'default' ORDER BY name"


class Unknown(Exception):
    """Nothing here can read this registry: ask MLflow's client."""


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model; `created` in milliseconds since 1970, tags are the version's."""

    name: str
    version: str
    aliases: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    run_id: str = ""
    source: str = ""
    created: int = 0

    @property
    def digest(self) -> str:
        """The sha256 of the model file; empty where somebody else registered the version."""
        return self.tags.get("model_digest", "")


def versions(uri: str, name: str) -> list[ModelVersion]:
    """Every version of the model *name*, the oldest first. Raises Unknown, sqlite3.Error or OSError."""
    if path := database(uri):
        return _by_database(path, name) if path.exists() else []
    _expect_server(uri)
    return _by_server(uri, name)


def _expect_server(uri: str) -> None:
    """Raise Unknown unless *uri* is a server that can be asked without credentials or certificates."""
    extras = [key for key in os.environ if key.startswith("MLFLOW_TRACKING_") and key != "MLFLOW_TRACKING_URI"]
    if extras or urlsplit(uri).scheme not in ("http", "https"):
        raise Unknown(uri)


def names(uri: str) -> list[str]:
    """The registered models in alphabetical order. Raises as `versions` does."""
    if path := database(uri):
        return [name for (name,) in _rows(path, [MODELS])[0]] if path.exists() else []
    _expect_server(uri)
    models = _pages(uri, "registered-models/search", "registered_models")
    return sorted(model["name"] for model in models)


def database(uri: str) -> Path | None:
    """The file of a sqlite:/// address."""
    prefix, found, path = uri.partition("sqlite:///")
    return Path(unquote(path.partition("?")[0])) if found and not prefix else None


def _rows(path: Path, queries: Sequence[str], *values: str) -> list[list[Any]]:
    """The rows that each query finds, all in one look at the database."""
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=SECONDS)) as connection:
        _expect_schema(connection)
        return [connection.execute(query, values).fetchall() for query in queries]


def _by_database(path: Path, name: str) -> list[ModelVersion]:
    found, aliases, tags = _rows(path, VERSIONS, name)
    return [
        ModelVersion(
            name,
            str(number),
            tuple(alias for alias, at in aliases if at == number),
            {key: value for of, key, value in tags if of == number},
            run_id or "",
            source or "",
            created or 0,
        )
        for number, run_id, source, created in found
    ]


def _expect_schema(connection: sqlite3.Connection) -> None:
    try:
        revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        raise Unknown("not yet a database of MLflow") from error
    if revisions != [(SCHEMA,)]:
        raise Unknown(f"schema {revisions}")


def _by_server(uri: str, name: str) -> list[ModelVersion]:
    model = _ask(uri, "registered-models/get", name=name)
    if model is None:
        return []
    aliases = [(a["alias"], str(a["version"])) for a in model["registered_model"].get("aliases", [])]
    quoted = name.replace("'", "''")
    found = _pages(uri, "model-versions/search", "model_versions", filter=f"name='{quoted}'")
    return _sorted(_from_json(version, aliases) for version in found)


def _pages(uri: str, what: str, of: str, **query: str) -> Iterator[dict[str, Any]]:
    token = ""
    while True:
        page = _ask(uri, what, **query, max_results=str(PAGE), page_token=token) or {}
        yield from page.get(of, [])
        token = page.get("next_page_token", "")
        if not token:
            return


def _from_json(version: dict[str, Any], aliases: list[tuple[str, str]]) -> ModelVersion:
    number = str(version["version"])
    return ModelVersion(
        version["name"],
        number,
        tuple(sorted(alias for alias, at in aliases if at == number)),
        {tag["key"]: tag.get("value", "") for tag in version.get("tags", [])},
        version.get("run_id", ""),
        version.get("source", ""),
        int(version.get("creation_timestamp", 0)),
    )


def _ask(uri: str, what: str, **query: str) -> dict[str, Any] | None:
    """The server's answer; None where it knows no such thing. Raises OSError where it does not answer."""
    from urllib.error import HTTPError
    from urllib.request import urlopen

    address = f"{uri.rstrip('/')}/api/2.0/mlflow/{what}?{urlencode(query)}"
    try:
        with urlopen(address, timeout=SECONDS) as answer:  # noqa: S310 - the scheme was looked at
            found: dict[str, Any] = json.load(answer)
            return found
    except HTTPError as error:
        with error:
            if error.code == 404 and b"RESOURCE_DOES_NOT_EXIST" in error.read():
                return None
            raise OSError(f"HTTP status {error.code} {error.reason} for {what}") from None
    except ValueError as error:
        raise OSError(f"no answer of MLflow's for {what}: {error}") from error


def by_client(client: Any, name: str) -> list[ModelVersion]:
    """The same through MLflow's own client: slow, and right for every kind of registry."""
    from mlflow.exceptions import MlflowException

    try:
        # search_model_versions leaves every version's aliases empty; only the registered model tells them
        aliases = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return []
    quoted = name.replace("'", "''")
    found = _client_pages(client.search_model_versions, f"name='{quoted}'")
    return _sorted(
        ModelVersion(
            v.name,
            str(v.version),
            tuple(sorted(alias for alias, at in aliases.items() if str(at) == str(v.version))),
            dict(v.tags),
            v.run_id or "",
            v.source or "",
            v.creation_timestamp or 0,
        )
        for v in found
    )


def names_by_client(client: Any) -> list[str]:
    return sorted(model.name for model in _client_pages(client.search_registered_models))


def _client_pages(search: Callable[..., Any], *query: str) -> Iterator[Any]:
    token = None
    while True:
        page = search(*query, max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _sorted(found: Iterable[ModelVersion]) -> list[ModelVersion]:
    return sorted(found, key=lambda version: int(version.version))
