"""Verdicts: a stage measures, a check judges what was measured, and whoever acts asks for the verdict first.

A check is a plain function `check(..., params) -> list[Finding]` beside its stage. It reads what the stage wrote, never
computes anew and never writes, so it judges a reused artifact exactly as it judges a fresh one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from components.errors import PipelineError


@dataclass(frozen=True)
class Finding:
    """One thing that a check has to say, as a sentence with the value and what was expected."""

    severity: Literal["error", "warning"]
    text: str


def errors(findings: Sequence[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.severity == "error"]


def warnings(findings: Sequence[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.severity == "warning"]


def require(findings: Sequence[Finding], rejection: type[PipelineError]) -> None:
    """Raise *rejection* with every error among *findings*; pass where there is none."""
    if found := errors(findings):
        raise rejection("\n".join(found))
