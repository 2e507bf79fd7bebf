"""One run from its first stage to its last, its record kept whichever way it ends."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.errors import ArtifactCorrupt, Failure, PipelineError, StorageFailed
from components.progress import say
from components.public_text import public
from components.registry.approval import Answer
from components.registry.client import Registry
from components.settings.sections import Params
from pipeline import corrections, initial_weights, summary
from pipeline import teacher as teachers
from pipeline.changes import since_last_ingest
from pipeline.config import chosen, flat
from pipeline.graph import STAGES, ancestors
from pipeline.home import Home
from pipeline.report import html
from pipeline.report.content import report_of
from pipeline.run_record import Done, RunRecord, RunRecorder, git_commit, load, new_run, now
from pipeline.runner import PublishedElsewhere, Runner
from pipeline.store.disk_errors import storage_errors
from pipeline.store.recipe import OF_MACHINE


def run(params: Params, home: Home, name: str = "", *, until: str = "", force: Iterable[str] = ()) -> Runner:
    """Run every stage up to *until* as the run *name*; the stages in *force* run even where their artifact exists.

    Returns the runner, which holds the run's record. Raises the Failure that ended the run, after its record, its
    report and its MLflow run were written.
    """
    home.prepare()
    with storage_errors(home.root), recorded(params, home, name or new_run()) as runner:
        home.store.sweep()
        for stage in STAGES:
            _announce(runner.run_stage(stage, force=stage in force), runner)
            if stage == until:
                break
    return runner


def run_stage(
    params: Params, home: Home, stage: str, run: str = "", *, force: bool = False, answer: Answer | None = None
) -> dict[str, Any]:
    """Run *stage* as a part of the run *run*, whose stages may each have a process of their own.

    *answer* is what a person decided about a request of `promote`. Returns the outcome of the stage (Done), its
    headline and metrics, its settings, and the state of the run; raises as `run` does.
    """
    home.prepare()
    named = run or new_run()
    with (
        storage_errors(home.root),
        recorded(params, home, named, part=stage, is_alone=not run, answer=answer) as runner,
    ):
        done = runner.run_stage(stage, force=force)
        _announce(done, runner)
    facts = {"headline": summary.headline(stage, runner.facts[stage]), "metrics": summary.numbers(runner.facts[stage])}
    facts["settings"] = flat(params)
    facts["settled"] = {f"train.{name}": getattr(params.train, name) for name in OF_MACHINE}
    of_run = ("run", "source", "accuracy", "model", "promotion", "mlflow_run", "report")
    return {**asdict(done), **facts, **{name: getattr(runner.record, name) for name in of_run}}


def ask(params: Params, home: Home, run: str) -> dict[str, Any]:
    """What `promote` would do in the run *run*, whose record stays as it is; ask a person where they have to decide.

    Returns the stage's facts, with what the person needs to know where its outcome is "waiting". A refusal is left to
    the stage itself, which records it.
    """
    from pipeline import promotion_request  # a run with nothing to do asks nobody, and loads less

    home.prepare()
    with storage_errors(home.root):
        record = _new_record(params, run)
        if earlier := load(home.runs / run):
            _continue(record, earlier, "promote")
        runner = Runner(params, home, record)
        _fix_inputs(runner, earlier)
        try:
            facts = dict(runner.ask())
        except PipelineError as refusal:
            say(f"  {refusal}")
            return {"outcome": "refused"}
        version = runner.tracking.registry.version(facts["name"], facts["version"])
        if version and facts.get("outcome") == "waiting":
            facts["request"] = asdict(promotion_request.request(home, runner.tracking.registry, version))
    return facts


def _announce(done: Done, runner: Runner) -> None:
    say(summary.line(done, runner.facts[done.stage]))
    if done.stage == "ingest" and (changes := since_last_ingest(runner)):
        runner.record.changes = changes
        say(f"  {changes}")


@contextmanager
def recorded(
    params: Params, home: Home, run: str, *, part: str = "", is_alone: bool = False, answer: Answer | None = None
) -> Iterator[Runner]:
    """A runner for the run *run*; its record, report and MLflow run are written however the block ends.

    *part* is the only stage that this process runs, in a run of several processes: it continues the record that the
    stages before it left, and the MLflow run is closed by the last stage, or by the one that fails. No other process
    continues it where it *is_alone*. *answer* is what a person decided about a request of `promote`.
    """
    record = _new_record(params, run)
    recorder = RunRecorder(home, record)
    earlier = load(recorder.folder) if part else None
    if earlier:
        _continue(record, earlier, part)
    with recorder:
        must_judge_drift = part == "validate" and not is_alone  # a scheduler will try it again
        runner = Runner(params, home, record, save=recorder.save, answer=answer, must_judge_drift=must_judge_drift)
        runner.before_making = runner.tracking.expect_usable
        before, start = record.seconds, time.monotonic()
        error: BaseException | None = None
        try:
            _fix_inputs(runner, earlier)
            yield runner
        except BaseException as raised:
            error = raised
            raise
        finally:
            record.seconds = round(before + time.monotonic() - start, 3)
            _end(runner, recorder, part, error, is_alone)


def _new_record(params: Params, run: str) -> RunRecord:
    record = RunRecord(run=run, started=now(), source=public(params.ingest.source))
    record.settings, record.chosen, record.git_commit = public(flat(params)), public(chosen(params)), git_commit()
    return record


def _continue(record: RunRecord, earlier: RunRecord, part: str) -> None:
    """Take over what the stages before *part* left in the record; the stages after it will run again."""
    before = ancestors(part)
    record.stages = [done for done in earlier.stages if done.stage in before]
    record.findings = {stage: findings for stage, findings in earlier.findings.items() if stage in before}
    record.mlflow_run, record.mlflow_experiment = earlier.mlflow_run, earlier.mlflow_experiment
    if record.stages:
        record.started, record.seconds, record.model = earlier.started, earlier.seconds, earlier.model


def _fix_inputs(runner: Runner, earlier: RunRecord | None) -> None:
    """Settle on the images, corrections, teacher and initial weights of the whole run.

    Raises ConfigError where those that the settings name do not exist.
    """
    if earlier and (fingerprint := _fingerprint(runner, earlier)):
        runner.fingerprint = fingerprint
        runner.corrections_digest = _input(runner.record, runner.home, "ingest", corrections.INPUT)
    registry, params = Registry(runner.home.tracking_uri), runner.params
    runner.teacher = teachers.find(params, registry, _model_of_train("teacher", runner, earlier))
    runner.weights = initial_weights.find(params, runner.home, registry, _model_of_train("weights", runner, earlier))


def _fingerprint(runner: Runner, earlier: RunRecord) -> str:
    """Identity of the images that the run began with: those that arrive during the run belong to the next one."""
    record = runner.record
    same = all(earlier.settings.get(n) == v for n, v in record.settings.items() if n.startswith("ingest."))
    return _input(record, runner.home, "ingest", "source") if same else ""


def _model_of_train(name: str, runner: Runner, earlier: RunRecord | None) -> str:
    """The sha256 of the run's teacher or weights: the alias may have moved since, by the run's own promotion."""
    same = earlier and earlier.settings.get(f"train.{name}") == runner.record.settings[f"train.{name}"]
    return _input(runner.record, runner.home, "train", name) if same else ""


def _input(record: RunRecord, home: Home, stage: str, name: str) -> str:
    """The input *name* of the artifact of *stage* in *record*, "" where there is none."""
    done = record.done(stage)
    try:
        artifact = home.store.get(stage, done.key) if done else None
    except ArtifactCorrupt:  # reported when the run comes to it
        return ""
    return artifact.recipe["inputs"].get(name, "") if artifact else ""


def _state(error: BaseException | None, part: str) -> str:
    if error is None:
        return "succeeded" if part in ("", list(STAGES)[-1]) else "unfinished"
    if isinstance(error, PublishedElsewhere):
        return "unfinished"
    if not isinstance(error, Exception):  # Ctrl-C, a stopped service, a scheduler's timeout
        return "interrupted"
    return "refused" if isinstance(error, PipelineError) and error.exit_code in (3, 4) else "failed"


def _end(runner: Runner, recorder: RunRecorder, part: str, error: BaseException | None, is_alone: bool) -> None:
    """Record how the run ended, then write its report and log it.

    A failure in that is how the run ended only where it had succeeded; otherwise it is a warning, beside *error*.
    """
    record = runner.record
    record.state, record.error, record.finished = _state(error, part), _text(error), now()
    try:
        recorder.save()  # before anything else, or a run that is killed in its report would have ended in no way
        _publish(runner, recorder.folder / "report.html", error, is_alone)
        recorder.save()
    except BaseException as failure:
        if error is not None and isinstance(failure, Exception):
            say(f"  warning: the record or report of this run is incomplete: {_text(failure)}")
            return
        if error is None:
            record.state = _state(failure, part)
            record.error = f"every stage ended, but not the record or report of the run: {_text(failure)}"
        with suppress(StorageFailed):
            recorder.save()
        raise


def _text(error: BaseException | None) -> str:
    """What *error* says; a bug is named, as many say nothing without their name."""
    if isinstance(error, Failure) or not isinstance(error, Exception):
        return str(error or "")
    return f"{type(error).__name__}: {error}"


def _publish(runner: Runner, page: Path, error: BaseException | None, is_alone: bool) -> None:
    """Write the report of the run, and log it to MLflow once nothing of the run follows."""
    record = runner.record
    measured = summary.metrics(runner)
    record.accuracy = measured["accuracy"] if measured else None
    with storage_errors(runner.home.root):
        report = report_of(record, runner, error)
        html.render(report, page)
    record.report = str(page)
    if record.state != "unfinished" or is_alone:
        runner.tracking.finish(runner.artifacts(), report.pictures)
