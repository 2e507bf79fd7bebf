"""The files of the registered versions: verified, and written again from the store where they are gone or damaged."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from components.errors import ArtifactCorrupt
from components.progress import say
from components.registry import model_files
from components.registry.client import Registry, model_sha256
from components.registry.model_version import ModelVersion
from pipeline.home import Home
from pipeline.store.artifact import Artifact


def heal(home: Home, registry: Registry, name: str) -> None:
    """Write the files of the versions of *name* again that an alias points at and that are damaged on this machine."""
    for version in registry.with_aliases(name):
        if damage := model_files.damage(version):
            _heal(home, version, damage)


def _heal(home: Home, version: ModelVersion, damage: str) -> None:
    folder, made = model_files.folder_of(version.source), _made_from(home, version)
    # a folder elsewhere belongs to another workspace, or to a disk that is not mounted
    if made is None or folder is None or not folder.is_relative_to(home.root):
        say(f"  warning: {damage}; the store cannot replace it: restore a backup, or delete the version in MLflow")
        return
    from components.register.stage import restore

    say(f"  {damage}; writing it again from the store")
    normalize, train = made
    restore(normalize.path, train.path, version, folder)


def _made_from(home: Home, version: ModelVersion) -> tuple[Artifact, Artifact] | None:
    """The artifacts of normalize and train of *version*, every byte verified; None where one is gone or damaged."""
    store = home.store
    try:
        normalize, train = (
            store.get(stage, version.tags.get(f"{stage}.key", "none")) for stage in ("normalize", "train")
        )
        if normalize is None or train is None or model_sha256(train.path) != version.model_sha256:
            return None
        store.verify(normalize)
    except (ArtifactCorrupt, OSError):
        return None
    return normalize, train


def damages(registry: Registry, *, quick: bool = False) -> Iterator[tuple[ModelVersion, str]]:
    """Every version that this pipeline registered, and what is wrong with its files ("" for nothing).

    A server's are fetched, to be read. With *quick* no file is read, and none is fetched: one may be missing.
    """
    for version in (version for name in registry.names() for version in registry.versions(name)):
        if version.model_sha256:
            here = model_files.folder_of(version.source) is not None
            yield (
                version,
                model_files.damage(version, quick=quick) if here or quick else _damage_there(registry, version),
            )


def _damage_there(registry: Registry, version: ModelVersion) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            file = registry.model_file(version, Path(scratch))
        except ArtifactCorrupt as error:
            return str(error)
    return "" if file else f"version {version.version} of {version.name} in the registry: its model is missing"
