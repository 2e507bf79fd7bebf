"""One run from its first stage to its last, its record kept whichever way it ends."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.errors import Failure, PipelineError
from components.progress import say
from components.registry.client import Registry
from components.settings.sections import Params
from pipeline import summary
from pipeline import teacher as teachers
from pipeline.config import chosen, flat
from pipeline.graph import STAGES, ancestors
from pipeline.home import Home
from pipeline.report import html
from pipeline.run_record import Journal, Record, git_commit, load, new_run, now
from pipeline.runner import Elsewhere, Runner
from pipeline.store.local import storage_errors


def run(params: Params, home: Home, name: str = "", *, until: str = "", force: Iterable[str] = ()) -> Runner:
    """Run every stage up to *until*, the stages in *force* anew, as the run *name*.

    Returns the runner, whose record tells what was done. Raises the Failure that ended the run, after its record, its
    report and its MLflow run were written.
    """
    home.prepare()
    home.store.sweep()
    with recorded(params, home, name or new_run()) as runner:
        for stage in STAGES:
            done = runner.run_stage(stage, force=stage in force)
            say(summary.line(done, runner.facts[stage]))
            if stage == until:
                break
    return runner


def run_stage(params: Params, home: Home, stage: str, run: str = "") -> dict[str, Any]:
    """Do *stage* as a part of the run *run*, whose stages may each have a process of their own.

    Returns what became of it (Done), its headline and metrics, and what the run has come to; raises as `run` does.
    """
    home.prepare()
    with recorded(params, home, run or new_run(), part=stage) as runner:
        done = runner.run_stage(stage)
        say(summary.line(done, runner.facts[stage]))
    facts = {"headline": summary.headline(stage, runner.facts[stage]), "metrics": summary.numbers(runner.facts[stage])}
    told = ("run", "source", "accuracy", "model", "mlflow_run", "report")
    return {**asdict(done), **facts, **{name: getattr(runner.record, name) for name in told}}


@contextmanager
def recorded(params: Params, home: Home, run: str, *, part: str = "") -> Iterator[Runner]:
    """A runner for the run *run*; its record, report and MLflow run are written however the block ends.

    *part* is the one stage that this process does of a run of several processes: it goes on from the record that the
    stages before it left, and the MLflow run is closed by the last stage, or by the one that fails.
    """
    record = Record(run=run, started=now(), source=params.ingest.source)
    record.settings, record.chosen, record.git_commit = flat(params), chosen(params), git_commit()
    earlier = load(home.runs / run) if part else None
    if earlier:
        _go_on(record, earlier, part)
    teacher = teachers.find(params, Registry(home.tracking_uri), _teacher(record, earlier, home))
    with Journal(home, record) as journal:
        runner = Runner(params, home, record, save=journal.save)
        if earlier and (fingerprint := _fingerprint(runner, earlier)):
            runner.fingerprint = fingerprint
        runner.teacher = teacher
        before, start = record.seconds, time.monotonic()
        error: BaseException | None = None
        try:
            yield runner
        except BaseException as raised:
            error = raised
            raise
        finally:
            record.state, record.error = _state(error, part), str(error or "")
            record.finished, record.seconds = now(), round(before + time.monotonic() - start, 3)
            _finish(runner, journal.folder / "report.html", error)
            journal.save()


def _go_on(record: Record, earlier: Record, part: str) -> None:
    """Take over what the stages before *part* left in the record; what came after it is done anew."""
    before = ancestors(part)
    record.stages = [done for done in earlier.stages if done["stage"] in before]
    record.findings = {stage: found for stage, found in earlier.findings.items() if stage in before}
    record.mlflow_run = earlier.mlflow_run
    if record.stages:
        record.started, record.seconds, record.model = earlier.started, earlier.seconds, earlier.model


def _fingerprint(runner: Runner, earlier: Record) -> str:
    """What identifies the images that the run began with: those that arrive while it goes on are the next run's."""
    record = runner.record
    key = next((done["key"] for done in record.stages if done["stage"] == "ingest"), "")
    same = all(earlier.settings.get(n) == v for n, v in record.settings.items() if n.startswith("ingest."))
    artifact = runner.store.get("ingest", key) if key and same else None
    return str(artifact.recipe["inputs"]["source"]) if artifact else ""


def _teacher(record: Record, earlier: Record | None, home: Home) -> str:
    """The digest of the teacher that the run learnt from: the alias may have moved since, by its own promotion."""
    key = next((done["key"] for done in record.stages if done["stage"] == "train"), "")
    same = earlier and earlier.settings.get("train.teacher") == record.settings["train.teacher"]
    artifact = home.store.get("train", key) if key and same else None
    return str(artifact.recipe["inputs"].get("teacher", "")) if artifact else ""


def _state(error: BaseException | None, part: str) -> str:
    if error is None:
        return "succeeded" if part in ("", list(STAGES)[-1]) else "unfinished"
    if isinstance(error, Elsewhere):
        return "unfinished"
    if not isinstance(error, Exception):  # Ctrl-C, the stop of a service, a scheduler's time-out
        return "interrupted"
    return "refused" if isinstance(error, PipelineError) and error.exit_code in (3, 4) else "failed"


def _finish(runner: Runner, page: Path, error: BaseException | None) -> None:
    """Write the report and log the run; what fails here must not hide how the run itself ended."""
    record = runner.record
    try:
        record.accuracy = summary.metrics(runner).get("accuracy")
        with storage_errors(runner.home.root):
            html.render(summary.page(record, runner, error), page)
        record.report = str(page)
        if record.state != "unfinished":
            runner.tracking.finish(runner.artifacts())
    except Failure as failure:
        if error is None:
            raise
        say(f"  warning: {failure}")
