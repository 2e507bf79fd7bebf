"""How far the accuracies of trainings lie apart that differ in the seed alone, where the registry has several."""

from collections.abc import Iterator
from contextlib import suppress

from components.errors import ArtifactCorrupt, ConfigError
from components.registry.client import Registry
from components.registry.model_version import ModelVersion
from pipeline.reproduce.recorded import Recorded, read
from pipeline.store.recipe import Recipe

DATA = "normalize.digest"  # a tag of versions
MOST = 20  # versions that are read: each takes requests to a server


def accuracies(recorded: Recorded, registry: Registry) -> list[float]:
    """Those of *recorded* and of the newest versions that differ from it in train.seed alone, on the test images."""
    own = recorded.version
    data = own.tags.get(DATA, "")
    alike = [version for version in registry.versions(own.name) if data and version.tags.get(DATA) == data]
    others = [version for version in reversed(alike) if version.version != own.version][:MOST]
    known = [recorded, *(other for version in others for other in _read(registry, version))]
    wanted = _but_seed(recorded)
    measured = (each.version.accuracy for each in known if _but_seed(each) == wanted)
    return [accuracy for accuracy in measured if accuracy is not None]


def _read(registry: Registry, version: ModelVersion) -> Iterator[Recorded]:
    with suppress(ConfigError, ArtifactCorrupt):  # it was registered without a record, or that is damaged
        yield read(registry, version)


def _but_seed(recorded: Recorded) -> Recipe:
    """All that decided about the bytes of the training but the seed."""
    recipe = recorded.stages["train"].recipe
    return {**recipe, "params": {name: value for name, value in recipe["params"].items() if name != "seed"}}
