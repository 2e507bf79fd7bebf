"""The registry that the run finds in its workspace, where its training has a teacher: it must not write to ours."""

import sqlite3
from contextlib import closing
from pathlib import Path

from components.errors import ConfigError
from components.registry import database
from components.registry.client import Registry, answering
from components.registry.model_files import MODEL_FILE
from components.registry.model_version import ModelVersion


def lend(version: ModelVersion, registry: Registry, workspace: Path) -> str:
    """Put a registry that has *version* into *workspace*; the number that the version has there.

    A registry in a file is copied; of a server's the version alone, with its model. Raises ConfigError where it has no
    Keras model.
    """
    place = workspace / "mlflow.db"
    if file := database.path_of(registry.uri):
        with (
            closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(place)) as copy,
        ):
            source.backup(copy)
        return version.version
    folder = workspace / "mlartifacts" / "teacher"
    folder.mkdir(parents=True)
    model = registry.model_file(version, folder)
    if model is None:
        raise ConfigError(f"version {version.version} of {version.name}, the teacher, has no Keras model any more")
    (folder / MODEL_FILE).parent.mkdir()
    model.rename(folder / MODEL_FILE)
    own = Registry(database.address_of(place))
    own.create_model(version.name, "")
    with answering(own.uri):
        created = own.client.create_model_version(version.name, folder.absolute().as_uri(), tags=version.tags)
    return str(created.version)
