"""One run from its first stage to its last, its record kept whichever way it ends."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from components import report
from components.errors import Failure, PipelineError
from components.params import Params
from components.progress import say
from pipeline import summary
from pipeline.config import chosen, flat
from pipeline.graph import STAGES
from pipeline.home import Home
from pipeline.runner import Runner
from pipeline.runs import Journal, Record, git_commit, new_run, now
from pipeline.store import storage_errors


def run(params: Params, home: Home, name: str = "", *, until: str = "", force: Iterable[str] = ()) -> Runner:
    """Run every stage up to *until*, the stages in *force* anew, as the run *name*.

    Returns the runner, whose record tells what was done.

    Raises the Failure that ended the run, after its record, its report and its MLflow run were written.
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


@contextmanager
def recorded(params: Params, home: Home, run: str) -> Iterator[Runner]:
    """A runner whose record, report and MLflow run are finished, however the block ends."""
    record = Record(
        run=run,
        started=now(),
        source=params.ingest.source,
        settings=flat(params),
        chosen=chosen(params),
        git_commit=git_commit(),
    )
    journal = Journal(home, record)
    runner = Runner(params, home, record, save=journal.save)
    start = time.monotonic()
    error: BaseException | None = None
    try:
        yield runner
    except BaseException as raised:
        error = raised
        raise
    finally:
        record.state, record.finished = _state(error), now()
        record.seconds = round(time.monotonic() - start, 3)
        record.error = str(error or "")
        _finish(runner, journal.folder / "report.html", error)
        journal.save()
        journal.close()


def _state(error: BaseException | None) -> str:
    if error is None:
        return "succeeded"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return "refused" if isinstance(error, PipelineError) and error.exit_code in (3, 4) else "failed"


def _finish(runner: Runner, path: Path, error: BaseException | None) -> None:
    """Write the report and log the run; what fails here must not hide how the run itself ended."""
    record = runner.record
    try:
        record.accuracy = summary.metrics(runner).get("accuracy")
        with storage_errors(runner.home.root):
            report.render(summary.page(record, runner, error), path)
        record.report = str(path)
        runner.tracking.finish(runner.artifacts())
    except Failure as failure:
        if error is None:
            raise
        say(f"  warning: {failure}")
