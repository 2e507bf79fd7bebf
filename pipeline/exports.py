"""The published exports of this workspace: where they lie, and what they are made from."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from components.errors import ArtifactCorrupt, StorageFailed
from components.inference import model_info
from components.registry.client import CHAMPION, Registry
from components.registry.exports import COPY, SHA256_TAG, Exports, is_whole, target
from components.registry.model_files import folder_of
from components.registry.model_version import ModelVersion
from pipeline import measured
from pipeline.home import Home
from pipeline.store.local import Store


def damages_of_exports(home: Home, registry: Registry, *, quick: bool = False) -> Iterator[tuple[ModelVersion, str]]:
    """Every version that is published here, and what is wrong with its folder, or with the link; "" for nothing.

    With *quick* the files have their names and sizes, and are not read.
    """
    exports = exports_of(home, registry)
    for version in (version for name in registry.names() for version in registry.versions(name)):
        folder, sha256 = exports.folder(version), version.tags.get(SHA256_TAG, "")
        if sha256 and folder.is_dir():
            damage = _damage(folder, sha256, quick=quick) or _damage_in_mlflow(version, sha256, quick=quick)
            yield version, damage or _misled(exports, version)


def _damage(folder: Path, sha256: str, *, quick: bool) -> str:
    """What is wrong with a published folder, every byte read unless it is to be *quick*."""
    if quick and is_whole(folder, sha256):
        return ""
    try:
        info = model_info.read(folder, sha256)
        model_info.verify(folder, info, info["files"])
    except ArtifactCorrupt as error:
        return str(error)
    return ""


def _damage_in_mlflow(version: ModelVersion, sha256: str, *, quick: bool) -> str:
    """What is wrong with MLflow's copy, where that is on this machine."""
    registered = folder_of(version.source)
    if registered is None or not registered.is_dir():
        return ""
    copy = registered / COPY
    what, _, _ = _damage(copy, sha256, quick=quick).partition(";")
    return what and f"{what}; delete the folder {copy}, which python -m pipeline run then logs again"


def _misled(exports: Exports, version: ModelVersion) -> str:
    """That the link does not point at *version*, the champion; "" for any other version, and where there is no link."""
    link = exports.link(version.name)
    if CHAMPION not in version.aliases or not link.is_symlink() or target(link) == version.version:
        return ""
    return (
        f"{link} points at {target(link)}, and the champion of {version.name} is version {version.version}; "
        "python -m pipeline run points it there"
    )


def exports_of(home: Home, registry: Registry) -> Exports:
    return Exports(home.exports, registry, lambda version: _made(home.store, version))


def _made(store: Store, version: ModelVersion) -> Path | None:
    """The newest export of *version*, every byte verified; None where it is gone or damaged."""
    for artifact in measured.exports(store, version.tags.get("train.digest", "none")):
        inputs = artifact.recipe["inputs"]
        if (inputs.get("model"), inputs.get("version")) == (version.name, version.version):
            with suppress(ArtifactCorrupt, StorageFailed):
                if whole := store.get(artifact.stage, artifact.key):
                    store.verify(whole)
                    return whole.path
    return None
