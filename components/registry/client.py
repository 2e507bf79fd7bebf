"""The model registry of MLflow: read without importing MLflow, written through MLflow's own client.

Importing MLflow and opening its database takes 2 s, and a run with nothing to do only reads. So versions are read from
the database or the server directly (components.registry.readers); writes go through `MlflowClient`.
"""

import logging
import os
import re
import shlex
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from components.errors import (
    ArtifactCorrupt,
    ArtifactMissing,
    ConfigError,
    Failure,
    RegistryRefused,
    RegistryUnreachable,
    StorageFailed,
)
from components.registry import artifact_reader, database, disk, model_files, readers, rest
from components.registry.address import DATABASES, expect_registry
from components.registry.disk import causes
from components.registry.model_version import ModelVersion
from components.registry.readers import Unknown
from components.system.fast_import import importing
from components.system.files import sha256_of_file

CHALLENGER, CHAMPION = "challenger", "champion"

ENVIRONMENT = {
    # three tries of five seconds: an unreachable server is reported within 15 s, not after the four minutes of MLflow
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(rest.SECONDS),
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    # with a server, MLflow prints two links to standard output where a run ends, into an answer in JSON for one
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
DENIED = re.compile(r"(HTTP status|error code) 40[13]\b")
GONE = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
EXISTS = ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS")


def model_sha256(train: Path) -> str:
    """The sha256 of the trained model's file, by which the registry identifies a model."""
    return sha256_of_file(train / "model.keras")


class Registry:
    """The registry at *uri*: sqlite:////absolute/mlflow.db, or the http address of an MLflow server.

    Raises ConfigError for an address that no registry can have.
    """

    def __init__(self, uri: str) -> None:
        expect_registry(uri)
        self.uri = uri
        self._snapshot: dict[str, list[ModelVersion]] | None = None
        self._last: dict[str, tuple[tuple[int, ...], list[ModelVersion]]] = {}  # and the state of the database then

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within the block, read the versions of a model once, and again only after a write through this object.

        For one who holds the registry's lock; without it, another process may change what was read.
        """
        self._snapshot = {}
        try:
            yield
        finally:
            self._snapshot = None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with answering(self.uri):
                yield
        finally:
            if self._snapshot:
                self._snapshot.clear()

    def versions(self, name: str) -> list[ModelVersion]:
        """Every version of the model *name*, the oldest first; empty where there is no such model."""
        if self._snapshot is None:
            return self._read(name)
        if name not in self._snapshot:
            self._snapshot[name] = self._read(name)
        return self._snapshot[name]

    def _read(self, name: str) -> list[ModelVersion]:
        """A database that nobody has written to since is not read again."""
        path = database.path_of(self.uri)
        state = database.state(path) if path else None
        state_then, versions = self._last.get(name, ((), []))
        if state is None or state != state_then:
            versions = self._versions_now(name)
            self._last[name] = state or (), versions
        return versions

    def _versions_now(self, name: str) -> list[ModelVersion]:
        with answering(self.uri):
            with suppress(Unknown):  # a database or a login that only MLflow itself knows
                return readers.versions(self.uri, name)
            return readers.by_client(self.client, name)

    def names(self) -> list[str]:
        """Every registered model, in alphabetical order."""
        with answering(self.uri):
            with suppress(Unknown):
                return readers.names(self.uri)
            return readers.names_by_client(self.client)

    def expect_usable(self, name: str, experiment: str) -> None:
        """Raise ConfigError where nothing can be registered as *name* or logged to *experiment*.

        It is asked as quickly as everything else is read; where that takes MLflow's client, nothing is asked.
        """
        with answering(self.uri), suppress(Unknown):
            if readers.experiment_stage(self.uri, experiment) == "deleted":
                raise ConfigError(deleted_experiment(experiment))
            if readers.is_prompt(self.uri, name):
                raise ConfigError(f"{name} is a prompt in MLflow at {self.uri}; set register.name to another name")

    def version(self, name: str, number: str) -> ModelVersion | None:
        return next((v for v in self._matching(name, version=number) if v.version == number), None)

    def alias(self, name: str, alias: str) -> ModelVersion | None:
        """The version that *alias* points at."""
        return next((v for v in self._matching(name, alias=alias) if alias in v.aliases), None)

    def with_aliases(self, name: str) -> list[ModelVersion]:
        """The versions that any alias points at, the oldest first."""
        return [version for version in self._matching(name) if version.aliases]

    def with_model(self, name: str, model_sha256: str) -> ModelVersion | None:
        """The oldest version whose model file has this sha256."""
        matching = self._matching(name, model_sha256=model_sha256)
        return next((v for v in matching if v.model_sha256 == model_sha256), None)

    def _matching(self, name: str, **wanted: str) -> list[ModelVersion]:
        """At least the versions that are *wanted*: a server takes long to send a thousand."""
        if not (self._snapshot and name in self._snapshot):
            with answering(self.uri), suppress(Unknown):
                return readers.some(self.uri, name, **wanted)
        return self.versions(name)

    def registered(self, name: str, model_sha256: str) -> ModelVersion:
        """The same; raises ArtifactMissing where there is none."""
        if version := self.with_model(name, model_sha256):
            return version
        raise ArtifactMissing(
            f"{name} has no version of this model; register it first: python -m pipeline stage register"
        )

    @cached_property
    def client(self) -> Any:
        """MLflow's client (2 s); it creates the database where there is none yet (3 s more)."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self._open()
        with answering(self.uri), importing("mlflow"), database.no_stray_folders(self.uri):
            from mlflow import MlflowClient

            # it logs each table that it creates, warns of a missing pip that it does not need, and prints the traceback
            # of every error that a database raises before it raises that itself
            logging.getLogger("mlflow").setLevel(logging.ERROR)
            logging.getLogger("mlflow.store").setLevel(logging.CRITICAL)
            if path := database.path_of(self.uri):
                database.prepare(path)
                return _opened(path, MlflowClient, self.uri)
            return MlflowClient(self.uri, self.uri)

    def _open(self) -> None:
        """Open the database: one that cannot be opened is reported now, not after 100 s of MLflow's retries."""
        with answering(self.uri), suppress(Unknown):
            if database.path_of(self.uri):
                readers.names(self.uri)
            elif self.uri.startswith(DATABASES):
                from sqlalchemy import create_engine

                create_engine(self.uri).connect().close()

    def create_model(self, name: str, description: str) -> None:
        """Create the registered model *name* unless it exists."""
        from mlflow.exceptions import MlflowException

        with self._writing():
            try:
                self.client.create_registered_model(name, description=description)
            except MlflowException as error:
                if error.error_code not in EXISTS:
                    raise

    def create_version(self, name: str, logged: Any, tags: dict[str, str], description: str) -> str:
        """Create a version of *name* from *logged*, a LoggedModel of MLflow; its number."""
        with self._writing():
            # by its location: `models:/ID` would be resolved in the default registry of this process
            created = self.client.create_model_version(
                name,
                logged.artifact_location,
                logged.source_run_id,
                tags,
                description=description,
                model_id=logged.model_id,
            )
        return str(created.version)

    def delete_version(self, name: str, number: str) -> None:
        with self._writing():
            self.client.delete_model_version(name, number)

    def set_alias(self, name: str, alias: str, number: str) -> None:
        client = self.client
        from mlflow.exceptions import MlflowException

        with self._writing():
            try:
                client.set_registered_model_alias(name, alias, number)
            except MlflowException:  # two processes inserted the same alias at once: one of them gets an error
                if not any(v.version == number and alias in v.aliases for v in self._read(name)):
                    raise

    def set_tag(self, name: str, number: str, key: str, value: str) -> None:
        client = self.client
        from mlflow.exceptions import MlflowException

        with self._writing():
            try:
                client.set_model_version_tag(name, number, key, value)
            except MlflowException:  # two processes inserted the same tag at once: the one with the error replaces it
                if not any(v.version == number and key in v.tags for v in self._read(name)):
                    raise
                client.set_model_version_tag(name, number, key, value)

    def delete_tag(self, name: str, number: str, key: str) -> None:
        with self._writing():
            self.client.delete_model_version_tag(name, number, key)

    def model_file(self, version: ModelVersion, folder: Path) -> Path | None:
        """Copy the version's model.keras into *folder*; None where it has none: something else registered it."""
        file = self.fetch_files(version, model_files.MODEL_FILE, folder)
        return _verified(file, version) if file else None

    def fetch_files(self, version: ModelVersion, path: str, folder: Path) -> Path | None:
        """Copy the file or folder *path* among the version's artifacts into *folder*; None where it is not there."""
        with answering(self.uri):
            try:
                return artifact_reader.fetch(self.uri, version, path, folder)
            except readers.Unknown:
                return self._fetch_by_client(version, path, folder)

    def _fetch_by_client(self, version: ModelVersion, path: str, folder: Path) -> Path | None:
        client = self.client
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        location = client.get_model_version_download_uri(version.name, version.version)
        try:
            return Path(download_artifacts(f"{location}/{path}", dst_path=str(folder), tracking_uri=self.uri))
        except (MlflowException, OSError) as error:
            if isinstance(error, FileNotFoundError) or getattr(error, "error_code", "") in GONE:
                return None
            raise

    def log_files(self, version: ModelVersion, folder: Path, path: str) -> None:
        """Copy *folder* to *path* among the artifacts of the version's logged model."""
        client = self.client
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with answering(self.uri):  # by its location: MLflow keeps no id of the logged model with a version
            location = client.get_model_version_download_uri(version.name, version.version)
            get_artifact_repository(location, tracking_uri=self.uri).log_artifacts(str(folder), path)
        if here := model_files.folder_of(version.source):
            model_files.flush_all(here)


def deleted_experiment(name: str) -> str:
    return (
        f"MLflow's experiment {name} is deleted, and its name stays taken: restore it (make mlflow) or set "
        "register.experiment to another name"
    )


def _opened(path: Path, client: Callable[[str, str], Any], uri: str) -> Any:
    """MLflow's client of the database *path*, opened now; raises RegistryRefused where MLflow does not take it."""
    try:
        opened = client(uri, uri)
        opened.search_registered_models(max_results=1)
    except Exception as error:
        if disk.problem(error, path) or "locked" in str(error):
            raise
        raise RegistryRefused(
            f"{path} cannot be opened by MLflow ({_reason(error)}); if an older MLflow made it: copy it, then "
            f".venv/bin/mlflow db upgrade {shlex.quote(uri)}; otherwise restore a backup"
        ) from error
    return opened


def _verified(file: Path, version: ModelVersion) -> Path:
    if version.model_sha256 and (actual := sha256_of_file(file)) != version.model_sha256:
        raise ArtifactCorrupt(
            f"the model of {version.name} version {version.version} in the registry has sha256 {actual[:16]}..., "
            f"expected {version.model_sha256[:16]}...; restore another version with python -m pipeline rollback"
        )
    return file


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """Raise a Failure for every error that means that MLflow cannot be reached, or refuses what it is asked."""
    start = time.monotonic()
    try:
        yield
    except (Failure, Unknown):
        raise
    except Exception as error:
        if failure := _failure(error, uri, time.monotonic() - start):
            raise failure from error
        raise


def _failure(error: Exception, uri: str, seconds: float) -> Failure | None:
    """What *error* means for a user; None for a bug. Errors of MLflow and SQLAlchemy are known by name: no import."""
    file, reason = database.path_of(uri), _reason(error)
    if problem := disk.problem(error, file):
        return StorageFailed(problem)
    if DENIED.search(reason):
        return ConfigError(
            f"MLflow at {uri} does not accept this login ({reason}); set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    if _unreachable(error):
        what = f"MLflow at {uri} did not answer{f' within {seconds:.0f} s' if seconds >= 1 else ''}"
        what = f"MLflow's database {file} cannot be used" if file else what
        return RegistryUnreachable(f"{what} ({reason}); {_remedy(file, reason)}")
    if type(error).__module__.startswith("mlflow."):
        return RegistryRefused(f"MLflow at {uri} refused: {reason}; see what was changed there (make mlflow)")
    return None


def _remedy(file: Path | None, reason: str) -> str:
    if file and "locked" in reason:
        return "another process is writing to it: try again; a run keeps everything before register"
    if file:
        return (
            "restore a backup, or move it away: `make pipeline` then registers the model again, and keeps everything "
            "before that"
        )
    return "start it (make mlflow) or set MLFLOW_TRACKING_URI, and try again; a run keeps everything before register"


def _unreachable(error: Exception) -> bool:
    return (
        isinstance(error, OSError | sqlite3.DatabaseError)
        or getattr(error, "error_code", None) in ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
        or str(error).startswith("API request to ")
        or type(error).__module__.startswith("sqlalchemy.")
    )


def _reason(error: Exception) -> str:
    """The innermost cause in a line: "Connection refused", not the three layers around it.

    That an address is left to MLflow's client (Unknown) is no cause.
    """
    known = [cause for cause in causes(error) if not isinstance(cause, Unknown)]
    return " ".join(str(known[-1]).split())[:200] or type(error).__name__
