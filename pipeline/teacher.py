"""The teacher of a distillation (train.teacher): a registered version, resolved when the run begins.

An alias moves, by the promotion of this run too, so the recipe of train holds the sha256 of the version's model.keras,
and a run keeps the version that it began with.
"""

from contextlib import suppress
from pathlib import Path

from components.errors import ArtifactCorrupt, ConfigError
from components.registry.client import Registry, model_sha256
from components.registry.model_version import ModelVersion
from components.settings.sections import Params
from components.train.task import TeacherFile
from pipeline import model_classes
from pipeline.home import Home


def find(params: Params, registry: Registry, sha256: str = "") -> ModelVersion | None:
    """The version that train.teacher names, None where it is empty; *sha256* is that of the model the run began with.

    Raises ConfigError with the existing versions where there is no such one.
    """
    wanted = params.train.teacher
    return find_version("teacher", wanted, params.register.name, registry, sha256) if wanted else None


def find_version(setting: str, wanted: str, name: str, registry: Registry, sha256: str = "") -> ModelVersion:
    """The version of *name* that the *setting* of train means by *wanted*, or the one with *sha256*, where it is given.

    Raises ConfigError with the existing versions where there is no such one.
    """
    versions = registry.versions(name)
    for version in versions:
        named = version.model_sha256 == sha256 if sha256 else wanted in (version.version, *version.aliases)
        if version.model_sha256 and named:
            return version
    known = ", ".join(" @".join((v.version, *v.aliases)) for v in versions if v.model_sha256) or "none"
    raise ConfigError(
        f"train.{setting} is {wanted!r}, which {name} has no version of; its versions are: {known} "
        "(python -m pipeline models)"
    )


def file(version: ModelVersion, home: Home, registry: Registry) -> TeacherFile:
    """The version's model.keras, with the names of its classes where they are known."""
    path = model_file(version, home, registry, "teacher")
    return TeacherFile(path, tuple(model_classes.of_version(version, home.store) or ()))


def model_file(version: ModelVersion, home: Home, registry: Registry, setting: str) -> Path:
    """The model.keras of the training that produced the version, or a copy from the registry."""
    with suppress(ArtifactCorrupt, OSError):  # the registry has its own copy
        artifact = home.store.get("train", version.tags.get("train.key", "none"))
        if artifact and model_sha256(artifact.path) == version.model_sha256:
            return artifact.path / "model.keras"
    folder = home.cache / f"{setting}-{version.model_sha256[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    copy = registry.model_file(version, folder)
    if copy is None:
        raise ConfigError(
            f"version {version.version} of {version.name} has no Keras model; choose another "
            f"train.{setting} (python -m pipeline models)"
        )
    return copy
