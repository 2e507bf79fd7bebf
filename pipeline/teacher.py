"""The teacher of a distillation (train.teacher): a registered version, found when the run begins.

An alias moves, by this very run's promotion too, so what enters the recipe of train is the digest of the version's
file, and a run keeps to the version that it began with.
"""

from pathlib import Path

from components.errors import ArtifactCorrupt, ConfigError
from components.registry.client import Registry, model_digest
from components.registry.readers import ModelVersion
from components.settings.sections import Params
from pipeline.home import Home


def find(params: Params, registry: Registry, digest: str = "") -> ModelVersion | None:
    """The version that train.teacher names, None where it names none; *digest* is that which the run began with.

    Raises ConfigError that tells the versions that there are.
    """
    wanted, name = params.train.teacher, params.register.name
    if not wanted:
        return None
    versions = registry.versions(name)
    for version in versions:
        if version.digest and (version.digest == digest if digest else wanted in (version.version, *version.aliases)):
            return version
    known = ", ".join(" @".join((v.version, *v.aliases)) for v in versions if v.digest) or "none"
    raise ConfigError(
        f"train.teacher is {wanted!r}, which {name} has no version of; its versions are: {known} "
        "(python -m pipeline models)"
    )


def file(version: ModelVersion, home: Home, registry: Registry) -> Path:
    """The version's model.keras: that of the training that made it, or a copy from the registry."""
    try:
        made = home.store.get("train", version.tags.get("train.key", "none"))
        if made and model_digest(made.path) == version.digest:
            return made.path / "model.keras"
    except (ArtifactCorrupt, OSError):
        ...  # the registry has its own copy
    folder = home.cache / f"teacher-{version.digest[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    found = registry.model_file(version, folder)
    if found is None:
        raise ConfigError(
            f"version {version.version} of {version.name} holds no Keras model to learn from; choose another "
            "train.teacher (python -m pipeline models)"
        )
    return found
