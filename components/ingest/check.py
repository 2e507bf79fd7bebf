"""The check of ingest: what was decided, left out or looks wrong, for a reused artifact too. Standard library only."""

from collections.abc import Mapping
from typing import Any

from components.errors import DataRejected
from components.findings import Finding

REJECTION = DataRejected


def check(facts: Mapping[str, Any]) -> list[Finding]:
    """The notes and warnings among the *facts* of the artifact of ingest."""
    notes = [Finding("note", text) for text in facts.get("notes", ())]
    return notes + [Finding("warning", text) for text in facts.get("warnings", ())]
