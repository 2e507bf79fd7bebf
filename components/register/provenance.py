"""What a registered version was made from and with, in a public vocabulary: provenance.json among its files.

An in-toto Statement v1 (https://in-toto.io/Statement/v1) about the files of the training, with SLSA's predicate
provenance v1 (https://slsa.dev/provenance/v1). It says how the version was made and of what, each by its digest; that
nobody rewrote it, only a signature of the version's files shows (components.registry.signature).

    provenance.json               the statement
    provenance/changes.diff       what the code differed in from its commit, where it did; if long, changes.diff.gz
    provenance/corrections.jsonl  the corrections of labels, where there were any
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

FILE = "provenance.json"
CHANGES, CORRECTIONS = "provenance/changes.diff", "provenance/corrections.jsonl"
SHA256_TAG = "provenance.sha256"  # of provenance.json, a tag of the version
STATEMENT, PREDICATE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
BUILD_TYPE, BUILDER = "urn:mnist-retraining-pipeline:run:1", "urn:mnist-retraining-pipeline"
FILES_DIGEST = "filesSha256"  # of the canonical JSON that maps the name of each file of an artifact to its sha256


@dataclass(frozen=True)
class Resource:
    """in-toto's ResourceDescriptor; one of *uri* and *digest* (algorithm -> value) has a value."""

    name: str
    digest: Mapping[str, str] = field(default_factory=dict)
    uri: str = ""
    annotations: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        entries = {"name": self.name, "uri": self.uri, "digest": dict(self.digest), "annotations": self.annotations}
        return {name: value for name, value in entries.items() if value}


@dataclass(frozen=True)
class Build:
    """One training, as the predicate names its parts: what users chose, what followed from it, inputs and results.

    *started* and *finished* are texts "2026-11-27T08:00:00Z".
    """

    run: str
    started: str
    finished: str
    versions: Mapping[str, str]  # of what ran the build
    external: Mapping[str, Any]
    internal: Mapping[str, Any]
    dependencies: Iterable[Resource]
    byproducts: Iterable[Resource]


def statement(files: Mapping[str, str], build: Build) -> dict[str, Any]:
    """The statement that *files*, name -> sha256, came from *build*."""
    return {
        "_type": STATEMENT,
        "subject": [Resource(name, {"sha256": sha256}).document() for name, sha256 in sorted(files.items())],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": build.external,
                "internalParameters": build.internal,
                "resolvedDependencies": [resource.document() for resource in build.dependencies],
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": dict(build.versions)},
                "metadata": {"invocationId": build.run, "startedOn": build.started, "finishedOn": build.finished},
                "byproducts": [resource.document() for resource in build.byproducts],
            },
        },
    }


def text(document: Mapping[str, Any]) -> bytes:
    """The content of provenance.json."""
    return (json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
