"""The files of the registered versions: verified, and written again from the store where they are gone or damaged."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from components.errors import ArtifactCorrupt
from components.progress import say
from components.register import provenance
from components.registry import model_files, recorded_files
from components.registry.client import Registry, model_sha256
from components.registry.model_version import ModelVersion
from pipeline.home import Home
from pipeline.store.artifact import Artifact

BACKUP = "restore a backup, or delete the version in MLflow"
OF_THE_RUN = (provenance.FILE, provenance.CHANGES.partition("/")[0])  # only the run that registered knew these


def heal(home: Home, registry: Registry, name: str) -> None:
    """Write the files of the versions of *name* again that an alias points at and that are damaged on this machine."""
    for version in registry.with_aliases(name):
        if damage := model_files.damage(version):
            _heal(home, registry, version, damage)


def _heal(home: Home, registry: Registry, version: ModelVersion, damage: str) -> None:
    folder, artifacts = model_files.folder_of(version.source), _made_from(home, version)
    # a folder elsewhere belongs to another workspace, or to a disk that is not mounted
    if artifacts is None or folder is None or not folder.is_relative_to(home.root):
        say(f"  warning: {damage}; the store cannot replace it: {BACKUP}")
        return
    if not _restorable(version, folder):
        say(f"  warning: {damage}; {BACKUP}")
        return
    from components.register.stage import restore

    say(f"  {damage}; writing it again from the store")
    normalize, train = artifacts
    files_sha256 = restore(normalize.path, train.path, version, folder)
    if version.tags.get(recorded_files.SHA256_TAG) != files_sha256:
        registry.set_tag(version.name, version.version, recorded_files.SHA256_TAG, files_sha256)


def _restorable(version: ModelVersion, folder: Path) -> bool:
    """Whether a damaged file of *version* is one that register makes from the store."""
    return not all(name.startswith(OF_THE_RUN) for name, _ in model_files.damages(version, folder))


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
            folder = model_files.folder_of(version.source)
            if folder or quick:
                yield version, _damage_here(version, folder, quick=quick) if folder else ""
            else:
                yield version, _damage_there(registry, version)


def _damage_here(version: ModelVersion, folder: Path, *, quick: bool) -> str:
    """What is wrong with the files in *folder*, and what helps."""
    if damage := model_files.damage(version, quick=quick):
        is_healed = version.aliases and _restorable(version, folder)
        return f"{damage}; {'python -m pipeline run writes it again' if is_healed else BACKUP}"
    if not quick and (names := model_files.added(version, folder)):
        return model_files.sentence(version, folder / names[0], "was added; move it elsewhere")
    return ""


def _damage_there(registry: Registry, version: ModelVersion) -> str:
    is_recorded = recorded_files.SHA256_TAG in version.tags
    with tempfile.TemporaryDirectory() as scratch:
        try:
            if not is_recorded:
                fetched = registry.model_file(version, Path(scratch))
            elif fetched := registry.fetch_files(version, "", Path(scratch)):
                for name, what in model_files.damages(version, fetched):
                    return f"{model_files.sentence(version, name, what)}; {BACKUP}"
                for name in model_files.added(version, fetched):
                    return model_files.sentence(version, name, "was added; remove it from the server's artifacts")
        except ArtifactCorrupt as error:
            return str(error)
    return "" if fetched else f"version {version.version} of {version.name} in the registry: its model is missing"
