"""What a person reads of a run: a line per stage while it goes on, a summary at its end, the contents of its report."""

import json
from dataclasses import asdict
from importlib import metadata
from typing import Any

from components.errors import DataRejected, ModelRejected, PromotionRejected
from pipeline.config import flat
from pipeline.graph import STAGES, Facts
from pipeline.report.html import Report, Verdict
from pipeline.run_record import Done, Model, RunRecord
from pipeline.runner import Runner

BESIDE = ("manifest.json", "parity.json")  # what lies beside the exported files
VERSIONS = ("tensorflow-cpu", "tensorflow", "keras", "numpy", "mlflow", "ai-edge-litert", "apache-airflow")


def line(done: Done, facts: Facts) -> str:
    """ "[5/8] evaluate   made in 6.7 s    accuracy 99.34 % (99.16 to 99.48)" """
    number = list(STAGES).index(done.stage) + 1
    what = f"made in {duration(done.seconds)}" if done.made else "reused"
    return f"[{number}/{len(STAGES)}] {done.stage:<10} {what:<20} {headline(done.stage, facts)}".rstrip()


def headline(stage: str, facts: Facts) -> str:
    """The numbers of a stage that are worth a line."""
    if stage in ("ingest", "normalize"):
        return ", ".join(f"{count:,} {split}" for split, count in sorted(facts["images"].items(), reverse=True))
    if stage == "validate":
        return f"{facts['leaked']:,} test images in training, {sum(facts['duplicates'].values()):,} duplicates"
    if stage == "train":
        return f"best epoch {facts['best_epoch']} of {facts['epochs']}, validation {facts['validation_accuracy']:.2%}"
    if stage == "export":
        return ", ".join(f"{name} {told['bytes'] / 1024:,.0f} KiB" for name, told in facts.items())
    if STAGES[stage].effect:
        return facts.get("reason") or f"{facts['name']} version {facts['version']}"
    return str(facts["headline"])


def numbers(facts: Facts) -> dict[str, float]:
    """The numbers among *facts*, those a level down named as in "test.accuracy"."""
    found: dict[str, Any] = {}
    for name, value in facts.items():
        inner = value if isinstance(value, dict) else {"": value}
        found |= {f"{name}.{key}".rstrip("."): v for key, v in inner.items() if isinstance(v, int | float)}
    return {name: value for name, value in found.items() if not isinstance(value, bool)}


def duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60):02} s"


def metrics(runner: Runner) -> dict[str, Any]:
    """metrics.json of the evaluation, {} where the run did not come so far."""
    if "evaluate" not in runner.facts:
        return {}
    measured: dict[str, Any] = json.loads((runner.artifact("evaluate").path / "metrics.json").read_bytes())
    return measured


def text(record: RunRecord, runner: Runner) -> str:
    """The last lines of a successful run: what came out, where it lies, how long it took, what to type next."""
    rows = [("accuracy", _accuracy(metrics(runner))), ("model", _model(record.model))]
    export = runner.artifact("export").path if "export" in runner.facts else None
    if export:
        rows += [("exports", str(path)) for path in sorted(export.iterdir()) if path.name not in BESIDE]
    rows += [("report", record.report), ("stages", _stages(record))]
    rows += [("next", command) for command in next_commands(record)]
    width = max(len(name) for name, _ in rows) + 2
    last = ""
    lines = []
    for name, value in rows:
        if value:
            lines.append(f"{'' if name == last else name:<{width}}{value}")
            last = name
    return "\n".join(lines)


def _accuracy(measured: dict[str, Any]) -> str:
    if not measured:
        return ""
    low, high = measured["wilson_low"], measured["wilson_high"]
    return (
        f"{measured['accuracy']:.2%} on {measured['n']:,} test images "
        f"(95 % interval {low * 100:.2f} to {high * 100:.2f} %, {measured['n'] - measured['correct']:,} mistakes)"
    )


def _model(model: Model) -> str:
    if not model:
        return ""
    aliases = ", ".join(f"@{alias}" for alias in model["aliases"]) or "no alias"
    return f"{model['name']} version {model['version']} ({aliases})"


def _stages(record: RunRecord) -> str:
    made = [f"{done.stage} {duration(done.seconds)}" for done in record.stages if done.made]
    reused = [done.stage for done in record.stages if not done.made]
    if not made:
        return f"nothing to do: all {len(reused)} reused, in {duration(record.seconds)}"
    return (
        f"made {', '.join(made)}"
        + (f"; reused {', '.join(reused)}" if reused else "")
        + f"; {duration(record.seconds)} in all"
    )


def next_commands(record: RunRecord) -> list[str]:
    if not record.model:  # the run was to stop before
        return [f"python -m pipeline run --source {record.source}"]
    commands = ["python -m pipeline models", "make mlflow", "make tensorboard"]
    if "champion" in record.model.get("aliases", []):
        commands.append("python -m pipeline rollback")
    return commands


def page(record: RunRecord, runner: Runner, error: BaseException | None) -> Report:
    """The contents of the HTML report of a run that ended, well or with *error*."""
    done = [stage for stage in STAGES if record.done(stage)]
    artifacts = {stage: runner.artifact(stage).path for stage in done if not STAGES[stage].effect}
    findings = [finding for stage in record.findings.values() for finding in stage]
    return Report(
        run=record.run,
        started=record.started,
        source=record.source,
        verdict=verdict(record, error),
        at=_refused_at(record, error),
        reasons=_reasons(runner, error),
        warnings=[finding.text for finding in findings if finding.severity == "warning"],
        model_name=record.model.get("name"),
        model_version=record.model.get("version"),
        aliases=record.model.get("aliases", []),
        artifacts=artifacts,
        stages=[asdict(done) for done in record.stages],
        settings=flat(runner.params),
        facts=runner.facts,
        versions=versions(),
        git_commit=record.git_commit,
        commands=_commands(record),
        comparison=runner.facts.get("promote", {}).get("comparison"),
    )


def _reasons(runner: Runner, error: BaseException | None) -> list[str]:
    if error:
        return str(error).splitlines()
    promoted = runner.facts.get("promote", {})
    return [f"version {promoted['version']} is the champion: {promoted['reason']}"] if promoted.get("made") else []


def _refused_at(record: RunRecord, error: BaseException | None) -> str:
    """The stage whose check refused, or the one that the run did not get past."""
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
    return "promoted" if "champion" in record.model["aliases"] else "registered"


def versions() -> dict[str, str]:
    found = {}
    for name in VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commands(record: RunRecord) -> list[str]:
    """What makes this run again, for the report."""
    source = f" --source {record.source}" if record.source else ""
    commands = [f"git checkout {record.git_commit.partition('+')[0]}"] if record.git_commit else []
    changed = [f" --set {name}={value}" for name, value in record.chosen.items() if name != "ingest.source"]
    return [*commands, f"python -m pipeline run{source}{''.join(changed)}"]
