"""Commands that run stages or show what a run would do: run, stage, explain, settings."""

import json
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import ArtifactCorrupt, ArtifactMissing, ConfigError
from components.printed_commands import as_stored
from components.progress import say
from components.system import gpu
from components.system.streams import AnswerLost, answer
from pipeline.cli.options import JSON, SETTINGS, Option, command, home, params, stage_option
from pipeline.cli.output import failures_printed, print_json, print_table, run_json
from pipeline.graph import STAGES, ancestors

if TYPE_CHECKING:
    from components.settings.sections import Params

UNTIL = stage_option("--until", default="", help="stop after this stage")
FORCE = stage_option("--force", action="append", default=[], help="run this stage again; may be repeated")


@command("run every stage that has something to do", *SETTINGS, JSON, UNTIL, FORCE)
def run(options: Namespace) -> int:
    from pipeline import execute, summary
    from pipeline.run_record import new_run
    from pipeline.runner import PublishedElsewhere

    _refuse_idle_force(options.force, options.until)
    settings, workspace, name = params(options), home(), new_run()
    say(f"{settings.ingest.source} -> {settings.register.name}, in {workspace.root}")
    if hardware := gpu.line():
        say(f"  {hardware}")
    try:
        runner = execute.run(settings, workspace, name, until=options.until, force=options.force)
    except BaseException as end:
        with suppress(AnswerLost):  # how the run ended says more
            _print_record(options, workspace.runs / name)
        if not isinstance(end, PublishedElsewhere):
            raise
        say(str(end))
        return 0
    if options.json:
        _print_record(options, workspace.runs / name)
    else:
        answer("\n" + summary.text(runner.record, runner))
    return 0


def _print_record(options: Namespace, folder: Path) -> None:
    from pipeline.run_record import load

    if options.json and (record := load(folder)):
        print_json(run_json(record))


def _refuse_idle_force(force: Sequence[str], until: str) -> None:
    """Raise ConfigError where `--force` names a stage on which it would have no effect."""
    problems = []
    for stage in force:
        if STAGES[stage].effect:
            problems.append(f"--force {stage} has no effect: {stage} acts on the registry in every run; leave it out")
        elif until and stage not in (until, *ancestors(until)):
            problems.append(f"--force {stage} has no effect: the run ends before {stage} (--until {until})")
    if problems:
        raise ConfigError(*problems)


@command(
    "run one stage; the stages that it reads must have run",
    *SETTINGS,
    JSON,
    stage_option("stage", help=", ".join(STAGES)),
    Option("--run", default="", metavar="ID", help="the run that this stage is part of"),
    Option("--force", action="store_true", help="run it even where its result exists"),
    Option("--ask", action="store_true", help="of promote: only ask for a decision where one is needed; for Airflow"),
    Option("--answer", default="", metavar="JSON", help="of promote: what a person decided; for Airflow"),
)
def stage(options: Namespace) -> int:
    from pipeline.run_record import check_name
    from pipeline.runner import PublishedElsewhere

    as_stored(options.json)
    check_name(options.run)
    if options.force:
        _refuse_idle_force([options.stage], options.stage)
    try:
        with failures_printed(options.json):
            done = _perform(options)
    except PublishedElsewhere as end:
        say(str(end))
        return 0
    if options.json:
        print_json(done)
    return 0


def _perform(options: Namespace) -> dict[str, Any]:
    from components.registry.approval import Answer
    from pipeline import execute

    if (options.ask or options.answer) and options.stage != "promote":
        raise ConfigError(f"--ask and --answer are options of the stage promote; leave them out for {options.stage}")
    if options.ask:
        return execute.ask(params(options), home(), options.run)
    answer = Answer.read(options.answer) if options.answer else None
    return execute.run_stage(params(options), home(), options.stage, options.run, force=options.force, answer=answer)


@command("show what would run, and why", *SETTINGS, JSON, stage_option("stage", nargs="?", help="only this stage"))
def explain(options: Namespace) -> int:
    from pipeline import explain
    from pipeline.run_record import RunRecord, new_run, now
    from pipeline.runner import Runner

    runner = Runner(params(options), home(), RunRecord(new_run(), now()), heal=False)
    explanations = [e for e in explain.explain(runner) if options.stage in (None, e.stage)]
    if options.json:
        print_json([asdict(e) for e in explanations])
    else:
        rows = [(e.stage, e.verdict, e.key, "; ".join(e.reasons)) for e in explanations]
        print_table(("stage", "would", "key", "because"), rows)
        answer(_computes(options, runner.params))
        with suppress(ArtifactMissing, ArtifactCorrupt):
            answer(runner.training_plan())
    return 0


def _computes(options: Namespace, settings: "Params") -> str:
    """How the training computes, and which of it nobody chose."""
    from pipeline import config
    from pipeline.store.recipe import OF_MACHINE

    written = config.read(config.settings_file(options.config), options.set, options.source)
    derived = [name for name in map("train.{}".format, OF_MACHINE) if name in config.derived(written, settings)]
    chosen_by = f" ({', '.join(derived)}: decided by this machine)" if derived else ""
    return f"train computes in {settings.train.threads} threads, in {settings.train.precision}{chosen_by}"


@command("list every setting with its value and meaning", *SETTINGS, JSON)
def settings(options: Namespace) -> int:
    from pipeline import config, run_settings

    written = config.read(config.settings_file(options.config), options.set, options.source)
    params, plan = run_settings.previewed(config.settle(written))
    values, derived = config.flat(params), config.derived(written, params)
    if options.json:
        print_json(values)
    else:
        shown = {
            name: json.dumps(value, ensure_ascii=False) + " (derived)" * (name in derived)
            for name, value in values.items()
        }
        rows = [(name, value, config.SETTINGS[name].metadata["help"]) for name, value in shown.items()]
        print_table(("setting", "value", "meaning"), rows)
        answer(plan or "settings of train that are 0 or auto are derived from the images, once they have been read")
    return 0
