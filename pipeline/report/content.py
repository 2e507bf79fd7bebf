"""The contents of a run's report, from its record and its artifacts' facts."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from components.errors import DataRejected, ModelRejected, PromotionRejected
from components.findings import notes, warnings
from components.system.distributions import version
from pipeline.commands import clean_command, review_command, run_command
from pipeline.config import flat
from pipeline.graph import STAGES, Facts
from pipeline.report.figures import pictures
from pipeline.run_record import Done, RunRecord
from pipeline.runner import Runner

VERSIONS = ("tensorflow-cpu", "tensorflow", "keras", "numpy", "mlflow", "ai-edge-litert", "apache-airflow")

Verdict = Literal[
    "promoted",
    "registered",
    "undecided",
    "waiting",
    "held",
    "not promoted",
    "refused",
    "data rejected",
    "unfinished",
]
KEPT: dict[str, Verdict] = {"undecided": "undecided", "waiting": "waiting", "held": "held"}  # by the outcome of promote


@dataclass(frozen=True)
class Report:
    """Everything that the page is made from; plain data.

    *plan* is how the network was trained, as the run said it.
    *artifacts* are the directories of the stages that have one, *pictures* the folders of their PNG files, *facts* what
    each stage returned. *comparison* is promote's of challenger and champion; *at* is the stage that rejected the run,
    or at which it ended.
    """

    run: str
    started: str
    source: str
    verdict: Verdict
    at: str = ""
    reasons: Sequence[str] = ()
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    model_name: str | None = None
    model_version: str | None = None
    aliases: Sequence[str] = ()
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    pictures: Mapping[str, Path] = field(default_factory=dict)
    stages: Sequence[Done] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    facts: Mapping[str, Facts] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    git_commit: str = ""
    commands: Sequence[str] = ()
    clean: str = ""
    review: str = ""
    changes: str = ""
    plan: str = ""
    comparison: Facts | None = None


def report_of(record: RunRecord, runner: Runner, error: BaseException | None) -> Report:
    """The report of a run that ended, successfully or with *error*."""
    done = [stage for stage in STAGES if record.done(stage)]
    artifacts = {stage: runner.artifact(stage).path for stage in done if not STAGES[stage].effect}
    findings = [finding for stage in record.findings.values() for finding in stage]
    return Report(
        run=record.run,
        started=record.started,
        source=record.source,
        verdict=verdict(record, error),
        at=_ended_at(record, error),
        reasons=_reasons(runner, error),
        warnings=[*warnings(findings), *runner.facts.get("promote", {}).get("warnings", [])],
        notes=notes(findings),
        model_name=record.model.get("name"),
        model_version=record.model.get("version"),
        aliases=record.model.get("aliases", []),
        artifacts=artifacts,
        pictures=pictures(runner),
        stages=record.stages,
        settings=flat(runner.params),
        facts=runner.facts,
        versions=versions(),
        git_commit=record.git_commit,
        commands=_commands(record),
        clean=clean_command(record.source),
        review=review_command(record),
        changes=record.changes,
        plan=runner.training_plan() if record.done("train") else "",
        comparison=runner.facts.get("promote", {}).get("comparison"),
    )


def _reasons(runner: Runner, error: BaseException | None) -> list[str]:
    if error:
        return str(error).splitlines()
    promoted = runner.facts.get("promote", {})
    if promoted.get("outcome") in KEPT:
        return [promoted["reason"]]
    return [f"version {promoted['version']} is the champion: {promoted['reason']}"] if promoted.get("made") else []


def _ended_at(record: RunRecord, error: BaseException | None) -> str:
    """The stage whose check rejected the run, or the first that has not run."""
    for stage, findings in record.findings.items():
        if error and any(finding.severity == "error" for finding in findings):
            return stage
    return next((stage for stage in STAGES if not record.done(stage)), "")


def verdict(record: RunRecord, error: BaseException | None) -> Verdict:
    if isinstance(error, DataRejected):
        return "data rejected"
    if isinstance(error, PromotionRejected):
        return "not promoted"
    if isinstance(error, ModelRejected):
        return "refused"
    if error or not record.done("promote"):
        return "unfinished"
    if (outcome := record.promotion.get("outcome")) in KEPT:
        return KEPT[outcome]
    return "promoted" if "champion" in record.model["aliases"] else "registered"


def versions() -> dict[str, str]:
    """The installed versions of the libraries that matter to a result."""
    installed: dict[str, str] = {}
    for name in VERSIONS:
        if name == "tensorflow" and "tensorflow-cpu" in installed:
            continue
        with suppress(ModuleNotFoundError):
            installed[name] = version(name)
    return installed


def _commands(record: RunRecord) -> list[str]:
    """The commands that reproduce the run."""
    checkout = [f"git checkout {record.git_commit.partition('+')[0]}"] if record.git_commit else []
    return [*checkout, run_command(record)]
