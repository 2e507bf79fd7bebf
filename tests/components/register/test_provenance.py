"""provenance.json in the public vocabulary: a closed schema of in-toto's Statement v1 and SLSA's provenance v1."""

import json
from typing import Any

import jsonschema
import pytest

from components.register.provenance import Build, Resource, statement, text


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


TEXT = {"type": "string"}
URI = {"type": "string", "pattern": "^[a-z][a-z0-9+.-]*:."}
TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
# https://slsa.dev/spec/v1.1/provenance: provenance.cue and provenance.proto, field by field; in-toto asks of a
# ResourceDescriptor one of uri, digest and content, and of a subject its digest
DESCRIPTOR = _object(
    uri=URI,
    digest=TEXTS,
    name=TEXT,
    downloadLocation=TEXT,
    mediaType=TEXT,
    content=TEXT,
    annotations={"type": "object"},
) | {"anyOf": [{"required": [name]} for name in ("uri", "digest", "content")]}
DESCRIPTORS = {"type": "array", "items": DESCRIPTOR}
SCHEMA = _object(
    ("_type", "subject", "predicateType", "predicate"),
    _type={"const": "https://in-toto.io/Statement/v1"},
    subject={"type": "array", "minItems": 1, "items": {"allOf": [DESCRIPTOR, {"required": ["name", "digest"]}]}},
    predicateType={"const": "https://slsa.dev/provenance/v1"},
    predicate=_object(
        ("buildDefinition", "runDetails"),
        buildDefinition=_object(
            ("buildType", "externalParameters"),
            buildType=URI,
            externalParameters={"type": "object"},
            internalParameters={"type": "object"},
            resolvedDependencies=DESCRIPTORS,
        ),
        runDetails=_object(
            ("builder",),
            builder=_object(("id",), id=URI, version=TEXTS, builderDependencies=DESCRIPTORS),
            metadata=_object(invocationId=TEXT, startedOn=TIME, finishedOn=TIME),
            byproducts=DESCRIPTORS,
        ),
    ),
)


def check(document: Any) -> None:
    """Raise jsonschema.ValidationError unless *document* is a statement with SLSA's provenance."""
    jsonschema.Draft202012Validator(SCHEMA).validate(document)


def build(**changes: Any) -> Build:
    usual: dict[str, Any] = {
        "run": "20261127-080000-0000ab",
        "started": "2026-11-27T08:00:00Z",
        "finished": "2026-11-27T08:01:00Z",
        "versions": {"python": "3.11.9"},
        "external": {"settings": {"train.epochs": 2}},
        "internal": {"training": {"train.threads": 2}},
        "dependencies": [Resource("code", {"gitCommit": "0" * 40}), Resource("numpy", uri="pkg:pypi/numpy@2.4.0")],
        "byproducts": [Resource("train", {"filesSha256": "1" * 64}, annotations={"key": "ab"})],
    }
    return Build(**(usual | changes))


def test_a_statement_is_as_published() -> None:
    document = json.loads(text(statement({"model.keras": "2" * 64, "history.csv": "3" * 64}, build())))
    check(document)
    assert [one["name"] for one in document["subject"]] == ["history.csv", "model.keras"]
    assert document["predicate"]["buildDefinition"]["resolvedDependencies"] == [
        {"name": "code", "digest": {"gitCommit": "0" * 40}},
        {"name": "numpy", "uri": "pkg:pypi/numpy@2.4.0"},
    ]


@pytest.mark.parametrize(
    "wrong", [{"dependencies": [Resource("nothing")]}, {"started": "yesterday"}, {"versions": {"python": 3}}]
)
def test_the_schema_refuses_what_is_none(wrong: dict[str, Any]) -> None:
    """A resource without identity, a date in words, a number for a version: the check above can fail."""
    with pytest.raises(jsonschema.ValidationError):
        check(statement({"model.keras": "2" * 64}, build(**wrong)))
