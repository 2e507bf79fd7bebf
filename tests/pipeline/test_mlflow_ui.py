"""MLflow's server on the workspace: it gets the address of its database, once that is found to be whole."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from components.errors import RegistryUnreachable
from components.registry import database
from pipeline import mlflow_ui


class Started(Exception):
    """The process has become another program."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """How the server was started: its arguments, folder and variables, and the database that was made before."""
    noted: dict[str, object] = {}

    def become(_: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        noted.update(arguments=arguments[1:], folder=Path.cwd(), environment=environment)
        raise Started

    monkeypatch.setattr(database, "prepare", lambda path: noted.update(made=path))
    monkeypatch.setattr(os, "execve", become)
    return noted


@pytest.mark.parametrize("name", ["workspace", "job%2Fnight", "home?x=1", "with space"])
def test_the_server_gets_the_database_of_the_workspace(
    started: dict[str, object], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the folder is called, and by no argument, which other users could read."""
    home = tmp_path / name
    home.mkdir()
    monkeypatch.setenv("PIPELINE_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Started):
        mlflow_ui.main(["--port", str(port)])
    assert started["made"] == home / "mlflow.db"
    assert started["arguments"] == ["-m", "mlflow", "server", "--port", str(port)]
    assert started["folder"] == home
    environment = started["environment"]
    assert isinstance(environment, dict)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == environment["MLFLOW_REGISTRY_STORE_URI"] == "sqlite:///mlflow.db"
    assert environment["MLFLOW_ARTIFACTS_DESTINATION"] == (home / "mlartifacts").as_uri()


def test_a_database_that_cannot_be_made_ends_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The server is not started."""

    def refuse(_: Path) -> None:
        raise RegistryUnreachable("the database cannot be used")

    monkeypatch.setattr(database, "prepare", refuse)
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    assert mlflow_ui.main([]) == 1
    assert capfd.readouterr().err == "error: the database cannot be used\n"


def test_a_taken_port_ends_with_a_sentence(started: dict[str, object], capfd: pytest.CaptureFixture[str]) -> None:
    """And with a status that make reports, before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert mlflow_ui.main(["--host", "127.0.0.1", "--port", str(port)]) == 2
    assert f"port {port} on 127.0.0.1 cannot be listened on" in capfd.readouterr().err
    assert started == {}
