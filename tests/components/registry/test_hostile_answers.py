"""A server that answers in JSON, and not as MLflow does: one sentence, and no file where it should not be."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest

from components.errors import RegistryUnreachable
from components.registry import artifact_reader
from components.registry.client import Registry
from components.registry.model_version import ModelVersion

VERSION = {"name": "m", "version": "1", "creation_timestamp": 1, "source": "file:///m", "tags": []}
FILES = ModelVersion("m", "1", source="mlflow-artifacts:/m")


@contextmanager
def answering(answers: dict[str, Any]) -> Iterator[Registry]:
    """The registry of a server with the *answers*: the end of a path -> a document, or bytes; 404 for any other."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            end = self.path.partition("?")[0].rpartition("/api/2.0/")[2]
            answer = answers.get(end)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(404 if answer is None else 200)
            self.send_header("Transfer-Encoding" if answer is None else "X-Any", "chunked")
            self.end_headers()
            self.wfile.write(b"nonsense" if answer is None else content)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Registry(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def of_versions(*versions: Any, **more: Any) -> dict[str, Any]:
    model = {"registered_model": {"name": "m", "aliases": [{"alias": "champion", "version": "1"}]}}
    return {
        "mlflow/registered-models/get": model,
        "mlflow/model-versions/search": {"model_versions": [*versions], **more},
        "mlflow/model-versions/get": {"model_version": versions[0]} if versions else {},
    }


def test_the_server_of_these_tests_answers_as_mlflow_does() -> None:
    with answering(of_versions(VERSION)) as registry:
        expected = ModelVersion("m", "1", ("champion",), {}, source="file:///m", created=1)
        assert registry.versions("m") == [expected]
        assert registry.alias("m", "champion") == expected


@pytest.mark.parametrize(
    "odd",
    [
        {"version": "../../outside"},
        {"version": "1_0"},
        {"creation_timestamp": 10**30},
        {"creation_timestamp": "soon"},
        {"source": None},
        {"name": ["m"]},
        {"run_id": {}},
        {"tags": [{"key": "a", "value": 1}]},
        {"tags": [{"key": None}]},
    ],
    ids=str,
)
def test_a_version_with_a_value_of_another_kind_is_refused(odd: dict[str, Any]) -> None:
    """Also one that would be the name of a folder elsewhere, or a date that no calendar has."""
    with answering(of_versions({**VERSION, **odd})) as registry:
        reads: list[Callable[[], object]] = [lambda: registry.versions("m"), lambda: registry.alias("m", "champion")]
        for read in reads:
            with pytest.raises(RegistryUnreachable, match="not a response of MLflow for "):
                read()


@pytest.mark.parametrize("name", [["m"], None, 1])
def test_a_model_with_a_name_that_is_none_is_refused(name: object) -> None:
    models = {"registered_models": [{"name": name}]}
    with answering({"mlflow/registered-models/search": models}) as registry, pytest.raises(RegistryUnreachable):
        registry.names()


@pytest.mark.parametrize("content", [b"[" * 100_000, b"9" * 100_000, b"<html>"], ids=lambda content: str(content[:6]))
def test_what_is_no_document_is_refused(content: bytes) -> None:
    with (
        answering({"mlflow/registered-models/search": content}) as registry,
        pytest.raises(RegistryUnreachable, match="not a response of MLflow for mlflow/registered-models/search"),
    ):
        registry.names()


def test_an_answer_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.registry.rest.LARGEST", 1000)
    with (
        answering({"mlflow/registered-models/search": b" " * 1000 + b"{}"}) as registry,
        pytest.raises(RegistryUnreachable, match="more than the expected 1,000 bytes"),
    ):
        registry.names()


def test_pages_that_do_not_end_are_refused() -> None:
    """Each says that the next one is behind the same token."""
    with (
        answering(of_versions(VERSION, next_page_token="again")) as registry,  # noqa: S106 - no secret
        pytest.raises(RegistryUnreachable, match="pages of model-versions/search do not end"),
    ):
        registry.versions("m")


def test_a_404_that_breaks_off_is_no_absence() -> None:
    """Its body is broken: nothing says that the model does not exist."""
    with answering({}) as registry, pytest.raises(RegistryUnreachable, match="HTTP status 404"):
        registry.versions("m")


@pytest.mark.parametrize("name", ["../outside", "..", "", "a\x00b", "\x1b[2J", "\ud800"], ids=ascii)
def test_an_artifact_with_a_name_that_no_file_should_have_is_refused(name: str, tmp_path: Path) -> None:
    listing = {"files": [{"path": name, "is_dir": False, "file_size": 1}]}
    with (
        answering({artifact_reader.ARTIFACTS: listing}) as registry,
        pytest.raises(RegistryUnreachable, match="no file here can have the name of"),
    ):
        registry.fetch_files(FILES, "exports", tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_is_larger_than_listed_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its headers take is allowed beside it."""
    monkeypatch.setattr(artifact_reader, "HEADERS", 1000)
    listing = {"files": [{"path": "a", "is_dir": False, "file_size": 10}]}
    contents = {artifact_reader.ARTIFACTS: listing, f"{artifact_reader.ARTIFACTS}/m/a": bytes(10)}
    with answering(contents) as registry:
        assert cast("Path", registry.fetch_files(FILES, "a", tmp_path)).read_bytes() == bytes(10)
        contents[f"{artifact_reader.ARTIFACTS}/m/a"] = bytes(2000)
        with pytest.raises(RegistryUnreachable, match="more than the expected 1,010 bytes"):
            registry.fetch_files(FILES, "a", tmp_path)
