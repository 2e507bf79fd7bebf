"""Where the files of a registered version lie, verified from the registry's alias to model_info.json."""

from pathlib import Path
from typing import NamedTuple

from components.artifact_files import ModelInfo
from components.errors import ArtifactMissing, ConfigError, RegistryUnreachable, StorageFailed
from components.formatting import did_you_mean
from components.inference import model_info
from components.progress import say
from components.registry.client import Registry
from components.registry.exports import SHA256_TAG, Exports
from components.registry.model_version import ModelVersion
from components.system.files import file_name


class Published(NamedTuple):
    """A registered version, and the folder of its exported files; of these, model_info.json has been verified."""

    version: ModelVersion
    folder: Path
    info: ModelInfo


def find(registry: Registry, name: str, wanted: str, exports: Path) -> Published:
    """The version of the model *name* that is *wanted*, an alias or a number, below the folder *exports*.

    Files that are not there are fetched from MLflow. Where the registry does not answer, a number whose files are there
    needs none.
    """
    folder = exports / file_name(name) / wanted
    try:
        version = _version(registry, name, wanted)
    except RegistryUnreachable as error:
        if not (wanted.isdecimal() and folder.is_dir()):
            raise
        say(f"  warning: {str(error).partition(';')[0]}; the files in {folder} are used as they are")
        return Published(ModelVersion(name, wanted), folder, model_info.read(folder))
    return fetched(registry, version, exports)


def of_version(version: ModelVersion, exports: Path) -> Published:
    """The registered *version* below the folder *exports*; raises ArtifactMissing or ArtifactCorrupt."""
    if not (sha256 := version.tags.get(SHA256_TAG)):
        raise ArtifactMissing(
            f"version {version.version} of {version.name} was registered without its exported files; publish those "
            "of the champion with python -m pipeline run"
        )
    folder = exports / file_name(version.name) / version.version
    if not folder.is_dir():
        raise ArtifactMissing(
            f"the files of version {version.version} of {version.name} are gone: {folder} is no folder; publish those "
            "of the champion again with python -m pipeline run"
        )
    return Published(version, folder, model_info.read(folder, sha256))


def fetched(registry: Registry, version: ModelVersion, exports: Path) -> Published:
    """The registered *version* below the folder *exports*, from MLflow where it is not there yet.

    Raises what `of_version` does, Unavailable and StorageFailed.
    """
    shelf = Exports(exports, registry, lambda _version: None)
    if version.tags.get(SHA256_TAG) and not shelf.folder(version).is_dir():
        try:
            shelf.fetch(version)
        except OSError as error:
            raise StorageFailed(
                f"the files of version {version.version} of {version.name} cannot be stored in {exports} "
                f"({error.strerror}); make it writable, or publish them there with python -m pipeline run"
            ) from None
    return of_version(version, exports)


def _version(registry: Registry, name: str, wanted: str) -> ModelVersion:
    versions = registry.versions(name)
    if not versions:
        names = registry.names()
        hint = did_you_mean(name, names) or f"expected one of {', '.join(names)}" if names else "nothing is registered"
        raise ConfigError(f"there is no registered model {name!r}; {hint}")
    if found := next((v for v in versions if wanted == v.version or wanted in v.aliases), None):
        return found
    if wanted.isdecimal():
        raise ConfigError(f"{name} has no version {wanted}; list those it has with python -m pipeline models {name}")
    raise ConfigError(
        f"no version of {name} is its {wanted}; list the versions with python -m pipeline models, and name one with "
        "--version"
    )
