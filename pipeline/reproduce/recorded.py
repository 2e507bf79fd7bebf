"""provenance.json of a version, read for its reproduction."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from components.errors import ArtifactCorrupt, ConfigError
from components.register import provenance
from components.register.provenance import FILES_DIGEST, PREDICATE, SHA256_TAG
from components.registry import model_files
from components.registry.client import Registry
from components.registry.model_version import ModelVersion
from pipeline.provenance import CHANGES, CODE, CORRECTIONS, IMAGES, NETWORK, PACKED, unpacked
from pipeline.repository import LOCK
from pipeline.store.recipe import Recipe

Descriptor = Mapping[str, Any]  # in-toto's ResourceDescriptor


@dataclass(frozen=True)
class Stage:
    """The artifact of a stage, as it was when the version was registered."""

    key: str
    digest: str
    recipe: Recipe
    environment: Mapping[str, Any]  # what it was made with; {} where an older version made it


@dataclass(frozen=True)
class Recorded:
    """What a version was made from and with; *documents* are the files beside provenance.json that it names."""

    version: ModelVersion
    statement: Mapping[str, Any]
    documents: Mapping[str, bytes]

    @property
    def title(self) -> str:
        return f"version {self.version.version} of {self.version.name}"

    @property
    def _definition(self) -> Mapping[str, Any]:
        definition: Mapping[str, Any] = self.statement["predicate"]["buildDefinition"]
        return definition

    def _dependencies(self, name: str) -> Iterator[Descriptor]:
        return (dependency for dependency in self._definition["resolvedDependencies"] if dependency["name"] == name)

    def _dependency(self, name: str) -> Descriptor | None:
        return next(self._dependencies(name), None)

    def _digest(self, name: str, algorithm: str = "sha256") -> str:
        dependency = self._dependency(name)
        return str(dependency["digest"].get(algorithm, "")) if dependency else ""

    @property
    def commit(self) -> str:
        """The commit of the code; "" where it came from no git checkout."""
        return self._digest(CODE, "gitCommit")

    @property
    def is_clean(self) -> bool:
        code = self._dependency(CODE)
        return bool(code and code.get("annotations", {}).get("clean"))

    @property
    def changes(self) -> bytes | None:
        """What the code differed in from its commit, b"" for nothing; None where it was not kept."""
        if self._dependency(CHANGES) is None:
            return b"" if self.is_clean else None
        return self.documents.get(provenance.CHANGES)

    @property
    def changes_too_large(self) -> int:
        """Bytes of changes that were not kept, as they were too many; 0 for none."""
        changes = self._dependency(CHANGES)
        return int(changes.get("annotations", {}).get("too_large", 0)) if changes else 0

    @property
    def lock(self) -> str:
        return self._digest(LOCK)

    @property
    def fingerprint(self) -> str:
        """That of the images."""
        return self._digest(IMAGES, "fingerprint")

    @property
    def corrections(self) -> bytes | None:
        """The decisions about labels, b"" for none; None where they were not kept."""
        return self.documents.get(provenance.CORRECTIONS) if self._dependency(CORRECTIONS) else b""

    def model(self, name: str) -> str:
        """The sha256 of the model file that was the `teacher`, or gave the first `weights`; "" for none."""
        return self._digest(name)

    @property
    def networks(self) -> dict[str, str]:
        """Module -> sha256 of the files of a user's own networks."""
        return {
            network["annotations"]["module"]: network["digest"]["sha256"] for network in self._dependencies(NETWORK)
        }

    @cached_property
    def wheels(self) -> dict[str, str]:
        """Name -> version."""
        packages = (dependency["uri"] for dependency in self._definition["resolvedDependencies"] if "uri" in dependency)
        named = (uri.removeprefix("pkg:pypi/").rpartition("@") for uri in packages if uri.startswith("pkg:pypi/"))
        return {name: version for name, _, version in named}

    @property
    def python(self) -> str:
        version: str = self.statement["predicate"]["runDetails"]["builder"]["version"]["python"]
        return version

    @property
    def settings(self) -> Mapping[str, Any]:
        settings: Mapping[str, Any] = self._definition["externalParameters"]["settings"]
        return settings

    @cached_property
    def stages(self) -> dict[str, Stage]:
        environments = self._definition["internalParameters"]["environments"]
        return {
            made["name"]: Stage(
                made["annotations"]["key"],
                made["digest"][FILES_DIGEST],
                made["annotations"]["recipe"],
                environments.get(made["name"], {}),
            )
            for made in self.statement["predicate"]["runDetails"]["byproducts"]
        }


def read(registry: Registry, version: ModelVersion) -> Recorded:
    """What was recorded of *version*.

    Raises ConfigError where nothing was, and ArtifactCorrupt where it is gone or was changed since.
    """
    title = f"version {version.version} of {version.name}"
    expected = version.tags.get(SHA256_TAG, "")
    if not expected:
        raise ConfigError(
            f"{title} has no {provenance.FILE}: it was registered before versions had one, and cannot be reproduced by "
            "this command; a run from now on records what it takes"
        )
    with tempfile.TemporaryDirectory() as scratch:
        content = _file(registry, version, provenance.FILE, Path(scratch))
        if content is None or sha256(content).hexdigest() != expected:
            what = "is missing" if content is None else "was changed since it was written"
            raise ArtifactCorrupt(f"{provenance.FILE} of {title} {what}; restore it from a backup of MLflow's files")
        statement = json.loads(content)
        if statement.get("predicateType") != PREDICATE:
            raise ArtifactCorrupt(f"{provenance.FILE} of {title} is of a kind that this version does not read")
        documents = dict(_documents(registry, version, statement, Path(scratch)))
    return Recorded(version, statement, documents)


def _documents(
    registry: Registry, version: ModelVersion, statement: Mapping[str, Any], scratch: Path
) -> Iterator[tuple[str, bytes]]:
    """The files that *statement* names and that are as it says, unpacked, by the name before they were packed."""
    for dependency in statement["predicate"]["buildDefinition"]["resolvedDependencies"]:
        if name := dependency.get("annotations", {}).get("file", ""):
            content = unpacked(name, _file(registry, version, name, scratch) or b"")
            if sha256(content).hexdigest() == dependency["digest"]["sha256"]:
                yield name.removesuffix(PACKED), content


def _file(registry: Registry, version: ModelVersion, name: str, scratch: Path) -> bytes | None:
    """The file *name* of *version*, fetched where it is not on this machine; None where it is gone."""
    folder = model_files.folder_of(version.source)
    path = folder / name if folder else registry.fetch_files(version, name, scratch)
    try:
        return path.read_bytes() if path else None
    except OSError:
        return None
