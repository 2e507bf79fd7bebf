"""Commands that look at past runs: runs, show, report."""

from argparse import Namespace
from typing import TYPE_CHECKING

from components.errors import ConfigError
from components.formatting import duration
from components.system.streams import answer
from pipeline.cli import completion
from pipeline.cli.options import JSON, Option, command, home
from pipeline.cli.output import accuracy, print_facts, print_json, print_table, run_json

if TYPE_CHECKING:
    from pipeline.home import Home
    from pipeline.run_record import Done, RunRecord


@command("list the runs, the newest first", JSON)
def runs(options: Namespace) -> int:
    from pipeline.run_record import records

    everything = records(home())
    if options.json:
        print_json([run_json(record) for record in everything])
    else:
        print_table(("run", "state", "source", "accuracy", "model", "took", "error"), [_run_row(r) for r in everything])
    return 0


def _run_row(record: "RunRecord") -> tuple[str, ...]:
    model = f"{record.model['name']} {record.model['version']}" if record.model else ""
    error = record.error.partition(";")[0]
    return (
        *(record.run, record.state, record.source, accuracy(record.accuracy)),
        *(model, duration(record.seconds), error),
    )


@command(
    "show what a run did",
    JSON,
    Option(
        "run",
        nargs="?",
        default="",
        metavar="RUN",
        completer=completion.runs,
        help="its name or the beginning of it (default: the last run)",
    ),
)
def show(options: Namespace) -> int:
    from pipeline.run_record import find

    workspace = home()
    record = find(workspace, options.run)
    if options.json:
        print_json(run_json(record))
        return 0
    model = f"{record.model['name']} version {record.model['version']}" if record.model else ""
    facts = [("run", record.run), ("state", record.state), ("source", record.source), ("started", record.started)]
    facts += [("took", duration(record.seconds)), ("accuracy", accuracy(record.accuracy)), ("model", model)]
    facts += [("promotion", record.promotion.get("reason", ""))]
    facts += [("model sha256", _model_sha256(workspace, record)), ("report", record.report)]
    facts += [("commit", record.git_commit), ("error", record.error)]
    print_facts([*facts, *((name, str(value)) for name, value in record.chosen.items())])
    answer("")
    print_table(("stage", "key", "digest", "", "seconds"), [_stage_row(stage) for stage in record.stages])
    return 0


def _model_sha256(home: "Home", record: "RunRecord") -> str:
    """The sha256 of the run's model.keras, by which `models` shows a version; "" where the training is gone."""
    done = record.done("train")
    artifact = home.store.get("train", done.key, files=False) if done else None
    return artifact.files.get("model.keras", "") if artifact else ""


def _stage_row(done: "Done") -> tuple[str, ...]:
    return done.stage, done.key, done.digest[:16], "made" if done.made else "reused", f"{done.seconds:.1f}"


@command("print the path of the last run's report")
def report(options: Namespace) -> int:
    from pipeline.run_record import records

    for record in records(home()):
        if record.report:
            answer(record.report)
            return 0
    raise ConfigError("no run has written a report yet; 'make pipeline' writes one")
