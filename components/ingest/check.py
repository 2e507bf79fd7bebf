"""The check of ingest: what was decided, left out or looks wrong, for a reused artifact too. Standard library only."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.artifact_files import Unreadable
from components.data.problems import FILE
from components.errors import DataRejected
from components.findings import Finding
from components.formatting import bound
from components.ingest.reading.unusable_files import described
from components.settings.sections import Ingest

REJECTION = DataRejected


def check(facts: Mapping[str, Any], params: Ingest, artifact: Path) -> list[Finding]:
    """The notes and warnings among the *facts* of the artifact of ingest; an error where too many files are unreadable.

    *artifact* is its folder.
    """
    notes = [Finding("note", text) for text in facts.get("notes", ())]
    found = notes + [Finding("warning", text) for text in facts.get("warnings", ())]
    if unreadable := facts.get("unreadable"):
        found.append(_unreadable(unreadable, facts["from"], params, artifact))
    return found


def _unreadable(unreadable: Unreadable, where: str, params: Ingest, artifact: Path) -> Finding:
    most = params.max_unreadable_share
    text = f"{described(unreadable, where)}; {artifact / FILE} lists {'them' if unreadable['count'] > 1 else 'it'}"
    if unreadable["count"] <= max(most * unreadable["files"], 1 if most else 0):
        return Finding("warning", f"{text}. Left out")
    expected = f"expected at most {bound(most)} (ingest.max_unreadable_share)"
    return Finding("error", f"{text}; {expected}. Fix or remove them{_cleaning(params.source)}")


def _cleaning(source: str) -> str:
    """The command that moves them away; no archive and no bucket can be changed by it."""
    command = f", or move them away: python -m pipeline clean --source {shlex.quote(source)}"
    return command if Path(source).is_dir() else ""
