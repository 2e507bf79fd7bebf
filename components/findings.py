"""Findings: a stage measures, its check judges the measurements, and nothing is promoted past an error.

A check is a function `check(..., params) -> list[Finding]` in components/<stage>/check.py. It reads what the stage
wrote, computes nothing again and writes nothing, so it judges a reused artifact exactly like a new one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from components.errors import PipelineError


@dataclass(frozen=True)
class Finding:
    """A sentence with the value and what was expected; an error rejects, a warning is shown.

    A note is shown too: a fact about the data or the run that a user should know and need not act on.
    """

    severity: Literal["error", "warning", "note"]
    text: str


def errors(findings: Sequence[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.severity == "error"]


def warnings(findings: Sequence[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.severity == "warning"]


def notes(findings: Sequence[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.severity == "note"]


def require(findings: Sequence[Finding], rejection: type[PipelineError]) -> None:
    """Raise *rejection* with every error among *findings*; pass where there is none."""
    if texts := errors(findings):
        raise rejection("\n".join(texts))
