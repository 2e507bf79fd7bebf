"""Versions of a registered model, read in the fastest way that the registry's address allows.

sqlite:///...  the database file, read directly: 2 ms, where MLflow's client takes 2 s to start. Where a future schema
               has no longer the columns that are read here, MLflow's client is used
http(s)://...  the server's documented REST interface: https://mlflow.org/docs/latest/rest-api.html
anything else  MLflow's client, also where MLFLOW_TRACKING_... variables set credentials or certificates
"""

import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from components.registry import database, rest
from components.registry.model_version import MODEL_SHA256_TAG, ModelVersion

PAGE = 200  # versions: a busy server sends so many within SECONDS
VERSIONS = (
    """SELECT version, run_id, source, creation_time FROM model_versions
       WHERE name = ? AND workspace = 'default' AND current_stage != 'Deleted_Internal' ORDER BY version""",
    """SELECT alias, version FROM registered_model_aliases WHERE name = ? AND workspace = 'default' ORDER BY alias""",
    """SELECT version, key, value FROM model_version_tags WHERE name = ? AND workspace = 'default'""",
)
LATEST = 253_402_300_800_000  # milliseconds since 1970: the year 10000, which no date can show
PROMPT_TAG = "mlflow.prompt.is_prompt"  # MLflow keeps prompts among the registered models
PROMPTS = f"""SELECT name FROM registered_model_tags
              WHERE workspace = 'default' AND key = '{PROMPT_TAG}' AND lower(value) = 'true'"""  # noqa: S608
EXPERIMENT = "SELECT lifecycle_stage FROM experiments WHERE name = ? AND workspace = 'default'"
COLUMNS = {  # of the tables that are read
    "model_versions": {"name", "version", "run_id", "source", "creation_time", "current_stage", "workspace"},
    "registered_model_aliases": {"name", "alias", "version", "workspace"},
    "model_version_tags": {"name", "version", "key", "value", "workspace"},
    "registered_models": {"name", "workspace"},
    "registered_model_tags": {"name", "key", "value", "workspace"},
    "experiments": {"name", "lifecycle_stage", "workspace"},
}
MODELS = f"SELECT name FROM registered_models WHERE workspace = 'default' AND name NOT IN ({PROMPTS}) ORDER BY name"  # noqa: S608
WORKSPACES = ("MLFLOW_WORKSPACE", "MLFLOW_ENABLE_WORKSPACES")  # what is read here lies in the default one


class Unknown(Exception):
    """Nothing here can read this registry: use MLflow's client."""


def versions(uri: str, name: str) -> list[ModelVersion]:
    """Every version of the model *name*, the oldest first. Raises Unknown, sqlite3.Error or OSError."""
    if path := _file(uri):
        return _by_database(path, name) if path.exists() else []
    return _by_server(uri, name)


def names(uri: str) -> list[str]:
    """The registered models in alphabetical order. Raises as `versions` does."""
    if path := _file(uri):
        return [name for (name,) in _rows(path, [MODELS])[0]] if path.exists() else []
    with _expecting("registered-models/search"):
        models = [m for m in _pages(uri, "registered-models/search", "registered_models") if not _is_prompt(m)]
        return sorted(_text(model["name"]) for model in models)


def is_prompt(uri: str, name: str) -> bool:
    """Whether *name* is that of a prompt, which no model can have then. Raises as `versions` does."""
    if path := _file(uri):
        return path.exists() and (name,) in _rows(path, [PROMPTS])[0]
    with _expecting("registered-models/get"):
        model = _get(uri, "registered-models/get", name=name)
        return model is not None and _is_prompt(model["registered_model"])


def experiment_stage(uri: str, name: str) -> str:
    """The life cycle's stage of the experiment *name*: active, deleted, or "" for none. Raises as `versions` does."""
    if path := _file(uri):
        rows = _rows(path, [EXPERIMENT], name)[0] if path.exists() else []
        return str(rows[0][0]) if rows else ""
    with _expecting("experiments/get-by-name"):
        answer = _get(uri, "experiments/get-by-name", experiment_name=name)
        return str(answer["experiment"]["lifecycle_stage"]) if answer else ""


def is_database(uri: str) -> bool:
    """Whether the registry is a database file, and no server. Raises Unknown."""
    return _file(uri) is not None


def _file(uri: str) -> Path | None:
    """The registry's database, None where it is a server. Raises Unknown where only MLflow's client can read it.

    It knows credentials, certificates and workspaces, which come with variables of their own.
    """
    path, parts = database.path_of(uri), urlsplit(uri)
    extras = () if path else (k for k in os.environ if k.startswith("MLFLOW_TRACKING_") and k != "MLFLOW_TRACKING_URI")
    if any(os.environ.get(name) for name in (*WORKSPACES, *extras)):
        raise Unknown(uri)
    if not path and (parts.scheme not in ("http", "https") or parts.username is not None):
        raise Unknown(uri)
    return path


def _rows(path: Path, queries: Iterable[str], *values: str) -> list[list[Any]]:
    """The rows of each query, all over one connection; none where MLflow has not finished making the database."""
    with database.connected(path) as connection:
        try:
            _expect_columns(connection)
        except Unknown:
            if database.is_blank(connection):
                return [[] for _ in queries]
            raise
        return [connection.execute(query, values if "?" in query else ()).fetchall() for query in queries]


def _by_database(path: Path, name: str) -> list[ModelVersion]:
    rows, aliases, tags, prompts = _rows(path, (*VERSIONS, PROMPTS), name)
    if (name,) in prompts:
        return []
    tags_of: dict[int, dict[str, str]] = defaultdict(dict)
    for number, key, value in tags:
        tags_of[number][key] = value
    aliases_of: dict[int, list[str]] = defaultdict(list)
    for alias, number in aliases:
        aliases_of[number].append(alias)
    return [
        ModelVersion(
            name, str(number), tuple(aliases_of[number]), tags_of[number], run_id or "", source or "", created or 0
        )
        for number, run_id, source, created in rows
    ]


def _expect_columns(connection: sqlite3.Connection) -> None:
    """Raise Unknown unless every table has the columns that are read."""
    for table, columns in COLUMNS.items():
        there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        if missing := columns - there:
            raise Unknown(f"table {table} has no column {', '.join(sorted(missing))}")


def some(uri: str, name: str, *, version: str = "", alias: str = "", model_sha256: str = "") -> list[ModelVersion]:
    """The versions of a server that are asked for, the oldest first; without a question those with an alias.

    Raises as `versions` does, and Unknown for a database, which is read faster than it is asked.
    """
    if _file(uri):
        raise Unknown(uri)
    with _expecting("registered-models/get"):
        aliases = _aliases(uri, name)
        if aliases is None:
            return []
        if model_sha256:
            tag = f" AND tags.{MODEL_SHA256_TAG}='{_quoted(model_sha256)}'"
            return _sorted(_from_json(found, aliases) for found in _search(uri, name, tag))
        numbers = {at for of, at in aliases if alias in ("", of)} if not version else {version}
        answers = [_get(uri, "model-versions/get", name=name, version=number) for number in sorted(numbers)]
        return _sorted(_from_json(answer["model_version"], aliases) for answer in answers if answer)


def _by_server(uri: str, name: str) -> list[ModelVersion]:
    with _expecting("registered-models/get"):
        aliases = _aliases(uri, name)
        return [] if aliases is None else _sorted(_from_json(found, aliases) for found in _search(uri, name))


def _aliases(uri: str, name: str) -> list[tuple[str, str]] | None:
    """(alias, version) of the model *name*; None where there is no such model."""
    answer = _get(uri, "registered-models/get", name=name)
    if answer is None or _is_prompt(model := answer["registered_model"]):
        return None
    return [(_text(a["alias"]), str(a["version"])) for a in model.get("aliases", [])]


def _search(uri: str, name: str, more: str = "") -> Iterator[dict[str, Any]]:
    return _pages(uri, "model-versions/search", "model_versions", filter=f"name='{_quoted(name)}'{more}")


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _is_prompt(model: dict[str, Any]) -> bool:
    return any(tag["key"] == PROMPT_TAG and tag.get("value", "").lower() == "true" for tag in model.get("tags", []))


@contextmanager
def _expecting(endpoint: str) -> Iterator[None]:
    """Raise OSError where the response is of another kind than MLflow's: something else listens at the address."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError):
        raise OSError(f"not a response of MLflow for {endpoint}") from None


def _pages(uri: str, endpoint: str, of: str, **query: str) -> Iterator[dict[str, Any]]:
    token, tokens = "", set[str]()
    while token not in tokens:
        tokens.add(token)
        page = _get(uri, endpoint, **query, max_results=str(PAGE), page_token=token) or {}
        yield from page.get(of, [])
        token = page.get("next_page_token", "")
        if not token:
            return
    raise OSError(f"MLflow's pages of {endpoint} do not end")


def _from_json(version: dict[str, Any], aliases: list[tuple[str, str]]) -> ModelVersion:
    """Raises TypeError or ValueError where a value is of another kind than MLflow's."""
    number, created = str(version["version"]), int(version.get("creation_timestamp", 0))
    if not (number.isascii() and number.isdecimal() and 0 <= created < LATEST):
        raise ValueError(number)
    return ModelVersion(
        _text(version["name"]),
        number,
        tuple(sorted(alias for alias, at in aliases if at == number)),
        {_text(tag["key"]): _text(tag.get("value", "")) for tag in version.get("tags", [])},
        _text(version.get("run_id", "")),
        _text(version.get("source", "")),
        created,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value))
    return value


def _get(uri: str, endpoint: str, **query: str) -> dict[str, Any] | None:
    """The server's response; None where the model does not exist. Raises OSError where it does not respond."""
    try:
        with rest.response(uri, f"mlflow/{endpoint}", **query) as response:
            document: dict[str, Any] = json.load(response)
            return document
    except rest.Absent:
        return None


def by_client(client: Any, name: str) -> list[ModelVersion]:
    """The same through MLflow's own client: slow, and right for every kind of registry."""
    from mlflow.exceptions import MlflowException

    try:
        # search_model_versions leaves the aliases of every version empty; only the registered model has them
        aliases = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return []
    quoted = name.replace("'", "''")
    pages = _client_pages(client.search_model_versions, f"name='{quoted}'")
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
        for v in pages
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


def _sorted(versions: Iterable[ModelVersion]) -> list[ModelVersion]:
    return sorted(versions, key=lambda version: int(version.version))
