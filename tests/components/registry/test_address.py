"""The address of the registry: one that cannot be that of a registry is refused before anything is asked."""

import socket
import sys
import time
from pathlib import Path

import pytest

from components.errors import ConfigError, RegistryUnreachable
from components.registry import address
from components.registry.client import Registry


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("./mlruns", "keeps no registry in a folder"),
        ("mlruns", "keeps no registry in a folder"),
        ("/data/mlflow.db", "keeps no registry in a folder"),
        ("file:///x/mlruns", "keeps no registry in a folder"),
        ("file:mlruns", "keeps no registry in a folder"),
        ("htp://host:5000", r"of the kind htp: \(did you mean 'http:'\?\)"),
        ("postgres://u:p@h/db", r"of the kind postgres: \(did you mean 'postgresql:'\?\)"),
        ("localhost:5000", "of the kind localhost:"),
        ("ftp://host", "of the kind ftp:"),
        ("databricks", "Databricks has no aliases"),
        ("databricks-uc://profile", "Databricks has no aliases"),
        ("postgresql+nonesuch://u@h/db", "no driver 'nonesuch' for postgresql"),
        ("http://", "names no host"),
        ("http:///path", "names no host"),
        ("http://host:99999", "[Pp]ort.*range"),
        ("http://[::1", "Invalid IPv6"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_an_address_of_no_registry_is_refused(uri: str, problem: str) -> None:
    """The sentence quotes it, says what is wrong with it and what is expected."""
    with pytest.raises(ConfigError, match=rf"MLFLOW_TRACKING_URI is .*{problem}"):
        Registry(uri)


@pytest.mark.parametrize("uri", ["http://host", "https://host:5000/path/", "http://[::1]:5000", "sqlite:///mlflow.db"])
def test_other_addresses_are_taken(uri: str) -> None:
    """Nobody is asked whether something is there."""
    Registry(uri)


def test_a_folder_in_the_place_of_the_database_stops_a_run_where_it_needs_it(tmp_path: Path) -> None:
    """It may be gone by then, as a server that is away may be back: training goes on without."""
    registry = Registry(f"sqlite:///{tmp_path}")
    with pytest.raises(RegistryUnreachable, match="unable to open database file"):
        registry.versions("m")


def test_a_missing_driver_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Databases of servers take a package that MLflow does not bring."""
    monkeypatch.setitem(sys.modules, "pymssql", None)
    with pytest.raises(ConfigError, match=r"takes the Python package pymssql, which is missing: .*install 'pymssql'"):
        Registry("mssql+pymssql://u@h/db")
    monkeypatch.setitem(sys.modules, "MySQLdb", None)
    with pytest.raises(ConfigError, match=r"takes the Python package mysqlclient"):
        Registry("mysql://u@h/db")


def test_an_address_that_a_plugin_of_mlflow_adds_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """azureml: and the like are known to packages that register themselves with MLflow."""
    monkeypatch.setattr(address, "_plugins", lambda: {"azureml"})
    Registry("azureml://region.api.azureml.ms/mlflow")


def test_a_database_that_does_not_answer_is_reported_at_once() -> None:
    """Not after the hundred seconds in which MLflow tries again and again."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"postgresql+psycopg2://u:p@127.0.0.1:{closed.getsockname()[1]}/db"
        start = time.monotonic()
        with pytest.raises(RegistryUnreachable, match=r"did not answer .*refused"):
            Registry(uri).versions("m")
    assert time.monotonic() - start < 30


def test_the_cause_is_told_where_mlflow_itself_asks() -> None:
    """Of the many layers of an error the first, with no password in it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(RegistryUnreachable, match=r"\*\*\*@127.* did not answer .*Connection refused"):
            Registry(f"http://u:secret@127.0.0.1:{closed.getsockname()[1]}").versions("m")
