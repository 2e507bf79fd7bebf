"""The model registry of MLflow: looked up without importing MLflow, changed through MLflow's own client.

Importing MLflow and opening its database takes 2 s, and a run with nothing to do only has to look. So a look-up asks
the database or the server itself (components.registry.readers); whatever changes something goes through `MlflowClient`.
"""

import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from components.errors import ArtifactCorrupt, Failure, RegistryUnreachable
from components.progress import say
from components.registry import readers
from components.registry.readers import ModelVersion, Unknown
from components.system.fast_import import importing

CHALLENGER, CHAMPION = "challenger", "champion"
DIGEST_TAG = "model_digest"
ROLLED_BACK_TAG = "rolled_back"
MODEL_FILE = "data/model.keras"  # inside a version's artifacts, where MLflow's Keras flavour puts it

# Three tries of five seconds: an unreachable server is told about within 15 s, not within MLflow's four minutes.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(readers.SECONDS),
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
}
GONE = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
EXISTS = ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS")


def model_digest(train: Path) -> str:
    """The sha256 of the trained model's file: what the registry knows a model by, and what `sha256sum` shows."""
    return _sha256(train / "model.keras")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Registry:
    """The registry at *uri*: sqlite:////absolute/mlflow.db, or the http address of an MLflow server."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def versions(self, name: str) -> list[ModelVersion]:
        """Every version of the model *name*, the oldest first; empty where there is no such model."""
        with answering(self.uri):
            try:
                return readers.versions(self.uri, name)
            except Unknown:  # a database or a way of logging in that only MLflow itself knows
                return readers.by_client(self.client, name)

    def names(self) -> list[str]:
        """Every registered model, in alphabetical order."""
        with answering(self.uri):
            try:
                return readers.names(self.uri)
            except Unknown:
                return readers.names_by_client(self.client)

    def version(self, name: str, number: str) -> ModelVersion | None:
        return next((v for v in self.versions(name) if v.version == number), None)

    def alias(self, name: str, alias: str) -> ModelVersion | None:
        """The version that *alias* points at."""
        return next((v for v in self.versions(name) if alias in v.aliases), None)

    def with_digest(self, name: str, digest: str) -> ModelVersion | None:
        """The oldest version made from the model file of this *digest*."""
        return next((v for v in self.versions(name) if v.digest == digest), None)

    @cached_property
    def client(self) -> Any:
        """MLflow's client (2 s); it makes the database where there is none yet (3 s more)."""
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        if path := readers.database(self.uri):
            if path.exists():
                self._open()
            else:
                say(f"  making MLflow's database {path.name}, once; takes some seconds")
                path.parent.mkdir(parents=True, exist_ok=True)
        with answering(self.uri), importing("mlflow"):
            from mlflow import MlflowClient

            # it tells of each table that it makes, and warns of a pip that it misses and does not need
            logging.getLogger("mlflow").setLevel(logging.ERROR)
            return MlflowClient(self.uri, self.uri)

    def _open(self) -> None:
        """Look into the database: one that cannot be opened is told of now, not after MLflow's 100 s of trying."""
        with answering(self.uri), suppress(Unknown):
            readers.names(self.uri)

    def create_model(self, name: str, description: str) -> None:
        """Make the registered model *name* unless it is there."""
        from mlflow.exceptions import MlflowException

        with answering(self.uri):
            try:
                self.client.create_registered_model(name, description=description)
            except MlflowException as error:
                if error.error_code not in EXISTS:
                    raise

    def create_version(self, name: str, logged: Any, tags: dict[str, str], description: str) -> str:
        """Make a version of *name* from *logged*, a LoggedModel of MLflow's; its number."""
        with answering(self.uri):
            # by its location: `models:/ID` would be looked up in whatever registry this process has set as its default
            made = self.client.create_model_version(
                name,
                logged.artifact_location,
                logged.source_run_id,
                tags,
                description=description,
                model_id=logged.model_id,
            )
        return str(made.version)

    def delete_version(self, name: str, number: str) -> None:
        with answering(self.uri):
            self.client.delete_model_version(name, number)

    def set_alias(self, name: str, alias: str, number: str) -> None:
        with answering(self.uri):
            self.client.set_registered_model_alias(name, alias, number)

    def set_tag(self, name: str, number: str, key: str, value: str) -> None:
        with answering(self.uri):
            self.client.set_model_version_tag(name, number, key, value)

    def delete_tag(self, name: str, number: str, key: str) -> None:
        with answering(self.uri):
            self.client.delete_model_version_tag(name, number, key)

    def model_file(self, version: ModelVersion, folder: Path) -> Path | None:
        """Copy the version's model.keras into *folder*; None where it has none: somebody else registered it."""
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        with answering(self.uri):
            location = self.client.get_model_version_download_uri(version.name, version.version)
            try:
                found = download_artifacts(f"{location}/{MODEL_FILE}", dst_path=str(folder), tracking_uri=self.uri)
            except (MlflowException, OSError) as error:
                if isinstance(error, FileNotFoundError) or getattr(error, "error_code", "") in GONE:
                    return None
                raise
        return _sound(Path(found), version)


def _sound(file: Path, version: ModelVersion) -> Path:
    if version.digest and (found := _sha256(file)) != version.digest:
        raise ArtifactCorrupt(
            f"the model of {version.name} version {version.version} in the registry has sha256 {found[:16]}..., "
            f"expected {version.digest[:16]}...; go back to another version with python -m pipeline rollback"
        )
    return file


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """Turn whatever says that MLflow cannot be reached into RegistryUnreachable."""
    start = time.monotonic()
    try:
        yield
    except (Failure, Unknown):
        raise
    except Exception as error:
        if not _unreachable(error):
            raise
        raise RegistryUnreachable(
            f"MLflow at {uri} did not answer within {time.monotonic() - start:.0f} s ({_reason(error)}); everything "
            "before register is kept: start it (make mlflow) or set MLFLOW_TRACKING_URI, and run `make pipeline` again"
        ) from error


def _unreachable(error: Exception) -> bool:
    """By name for MLflow's and SQLAlchemy's errors: importing them to compare would cost the 2 s saved above."""
    return (
        isinstance(error, OSError | sqlite3.DatabaseError)
        or getattr(error, "error_code", None) in ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
        or str(error).startswith("API request to ")
        or type(error).__module__.startswith("sqlalchemy.")
    )


def _reason(error: Exception) -> str:
    """The innermost cause in a line: "Connection refused", not the three layers that wrapped it."""
    while error.__cause__ or error.__context__:
        inner = error.__cause__ or error.__context__
        if not isinstance(inner, Exception):
            break
        error = inner
    return " ".join(str(error).split())[:200] or type(error).__name__
