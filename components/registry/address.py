"""Which addresses MLFLOW_TRACKING_URI can have, judged without asking anybody."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from components.errors import ConfigError
from components.formatting import did_you_mean
from components.registry import database

DATABASES = ("mssql", "mysql", "postgresql", "sqlite")
SERVERS = ("http", "https")
PACKAGES = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}  # of these modules
PLUGINS = "mlflow.tracking_store"  # packages that add kinds of addresses to MLflow
MEMORY = ("", ":memory:")
EXPECTED = "expected sqlite:////FOLDER/mlflow.db or http://HOST:PORT; without it, the registry lies in the workspace"


def expect_registry(uri: str) -> None:
    """Raise ConfigError unless *uri* can be the address of a registry."""
    if problem := next(_problems(uri), ""):
        raise ConfigError(f"MLFLOW_TRACKING_URI is {uri!r}: {problem}")


def _problems(uri: str) -> Iterator[str]:
    try:
        parts = urlsplit(uri)
        scheme, host, _ = parts.scheme, parts.hostname, parts.port  # the port is checked when it is read
    except ValueError as error:
        yield f"{error}; {EXPECTED}"
        return
    kind, _, driver = scheme.partition("+")
    if scheme in SERVERS:
        yield from () if host else (f"it names no host; {EXPECTED}",)
    elif kind == "sqlite":
        yield from _file_problems(uri)
    elif kind in DATABASES:
        yield from _driver_problems(kind, driver)
    elif scheme not in _plugins():
        yield _unknown(uri, scheme)


def _plugins() -> set[str]:
    from importlib.metadata import entry_points

    return {plugin.name for plugin in entry_points(group=PLUGINS)}


def _file_problems(uri: str) -> Iterator[str]:
    path = database.path_of(uri)
    if uri in ("sqlite:", "sqlite://") or (path and str(path) in (".", *MEMORY)):
        yield f"a database in memory ends with its process; {EXPECTED}"


def _driver_problems(kind: str, driver: str) -> Iterator[str]:
    """The package that SQLAlchemy would import for the database is not installed."""
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import NoSuchModuleError

    try:
        URL.create(f"{kind}+{driver}" if driver else kind).get_dialect().import_dbapi()
    except NoSuchModuleError:
        yield f"SQLAlchemy knows no driver {driver!r} for {kind}"
    except ImportError as error:
        module = error.name or driver or kind
        package = PACKAGES.get(module, module)
        yield f"it takes the Python package {package}, which is missing: .venv/bin/python -m pip install '{package}'"


def _unknown(uri: str, scheme: str) -> str:
    if scheme.startswith("databricks") or uri.startswith("databricks"):
        return f"a registry of Databricks has no aliases, by which a champion is known; {EXPECTED}"
    if scheme in ("", "file"):
        return f"MLflow keeps no registry in a folder; {EXPECTED}"
    guess = did_you_mean(f"{scheme}:", [f"{known}:" for known in (*SERVERS, *DATABASES)])
    hint = f" ({guess})" if guess else ""
    return f"MLflow knows no addresses of the kind {scheme}:{hint}; {EXPECTED}"
