"""The published exports of this workspace: where they lie, and what they are made from."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from components.errors import ArtifactCorrupt, StorageFailed
from components.registry.client import Registry
from components.registry.exports import Exports
from components.registry.model_version import ModelVersion
from pipeline.home import Home
from pipeline.store.artifact import Artifact
from pipeline.store.local import Store


def exports_of(home: Home, registry: Registry) -> Exports:
    return Exports(home.exports, registry, lambda version: _made(home.store, version))


def _made(store: Store, version: ModelVersion) -> Path | None:
    """The newest export of *version*, every byte verified; None where it is gone or damaged."""
    for artifact in sorted(_known(store, version), key=lambda artifact: artifact.made.get("at", ""), reverse=True):
        with suppress(ArtifactCorrupt, StorageFailed):
            store.verify(artifact)
            return artifact.path
    return None


def _known(store: Store, version: ModelVersion) -> Iterator[Artifact]:
    digest = version.tags.get("train.digest")
    for stage, key in store.list():
        if stage == "export":
            with suppress(ArtifactCorrupt, StorageFailed):
                artifact = store.get(stage, key)
                inputs = artifact.recipe["inputs"] if artifact else {}
                of_version = inputs.get("model"), inputs.get("version"), inputs.get("train")
                if artifact and of_version == (version.name, version.version, digest):
                    yield artifact
