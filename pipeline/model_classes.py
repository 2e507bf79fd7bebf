"""The class names of a registered version, as far as they are known without fetching its model."""

import json
from collections.abc import Iterator
from contextlib import suppress

from components.errors import ArtifactCorrupt, Unavailable
from components.registry import class_names
from components.registry.model_version import ModelVersion
from components.system.files import sha256_of_file
from pipeline.store.local import Store

FILES = {"evaluate": "metrics.json", "validate": "statistics.json", "normalize": "data.json"}  # the smallest first


def of_version(version: ModelVersion, store: Store) -> list[str] | None:
    """From the tag of *version*, or else from an artifact that it was made with; None where neither is there."""
    return class_names.from_tag(version) or next(_in_artifacts(version, store), None)


def _in_artifacts(version: ModelVersion, store: Store) -> Iterator[list[str]]:
    for stage, name in FILES.items():
        if (key := version.tags.get(f"{stage}.key")) is None:
            continue
        with suppress(ArtifactCorrupt, Unavailable, OSError, ValueError, LookupError, TypeError):
            artifact = store.get(stage, key)
            if artifact and sha256_of_file(artifact.path / name) == artifact.files[name]:
                yield list(json.loads((artifact.path / name).read_bytes())["classes"])
