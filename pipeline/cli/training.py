"""Commands that look for better settings: find-lr, tune."""

import os
from argparse import Namespace
from pathlib import Path

from components.errors import ConfigError
from components.printed_commands import with_interpreter
from components.progress import say
from components.system.files import expanded
from components.system.streams import answer
from pipeline.cli.options import JSON, SETTINGS, Option, command, given, home, params
from pipeline.cli.output import print_facts, print_json, print_table


@command("run a learning-rate range test and suggest a learning rate", *SETTINGS, JSON)
def find_lr(options: Namespace) -> int:
    """Sweep the learning rate over one short training; no artifact depends on it and no run is recorded."""
    from components.train import lr_finder
    from pipeline import summary
    from pipeline.graph import ancestors
    from pipeline.run_record import RunRecord, new_run, now
    from pipeline.runner import Runner
    from pipeline.store.disk_errors import storage_errors

    settings, workspace = params(options), home()
    workspace.prepare()
    folder = workspace.tuning / f"find-lr-{new_run()}"
    runner = Runner(settings, workspace, RunRecord(folder.name, now()))
    for name in ancestors("train"):
        say(summary.line(runner.run_stage(name), runner.facts[name]))
    weights = runner.weights.file() if runner.weights else None
    sweep = lr_finder.sweep(runner.artifact("normalize").path, settings.train, weights=weights)
    with storage_errors(workspace.root):
        folder.mkdir(parents=True)
        picture = lr_finder.write(sweep, settings.train, folder)
    next_run = _run_command(options, f"train.learning_rate={sweep.suggestion:g}")
    if options.json:
        print_json({"suggestion": sweep.suggestion, "picture": str(picture), "command": next_run})
    else:
        answer(f"learning rate {sweep.suggestion:g}; the curve: {picture}\n\n  {with_interpreter(next_run)}")
    return 0


def _run_command(options: Namespace, setting: str) -> str:
    """The command line that runs the same settings with *setting* added."""
    from pipeline.commands import pipeline_command

    return pipeline_command("run", *given(options), "--set", setting)


@command(
    "search for better settings: [tune.space] of the settings file",
    *SETTINGS,
    JSON,
    Option("--trials", type=int, metavar="T", help="total number of trials ([tune] trials)"),
    Option("--parallel", type=int, metavar="P", help="trials in parallel ([tune] parallel)"),
    Option("--seconds", type=float, metavar="S", help="time limit of this call ([tune] seconds)"),
    Option("--study", metavar="NAME", help="name of the study to create or resume"),
    Option("--out", default="", metavar="FILE", help="profile to write (default: $PIPELINE_HOME/tune/STUDY.toml)"),
)
def tune(options: Namespace) -> int:
    from pipeline import config
    from pipeline.commands import pipeline_command
    from pipeline.tuning import best_settings, plan
    from pipeline.tuning.tune import tune as search

    file = config.settings_file(options.config)
    if os.environ.get("TF_CONFIG"):
        raise ConfigError("TF_CONFIG is set, and a search trains on this machine alone; unset TF_CONFIG")
    chosen = {name: getattr(options, name) for name in ("trials", "parallel", "seconds", "study")}
    search_plan = plan.plan(file, options.set, chosen, lambda: params(options))
    workspace = home()
    out = Path(expanded(options.out)) if options.out else workspace.tuning / f"{search_plan.tune.study}.toml"
    if options.out:
        best_settings.check(out, file)
    say(f"study {search_plan.tune.study}: {search_plan.params.ingest.source}, in {workspace.tuning}")
    result = search(search_plan, workspace, out)
    if options.json:
        print_json(result.answer)
        return 0
    print_table(*result.table)
    next_run = with_interpreter(pipeline_command("run", "--config", str(out)))
    print_facts([("profile", str(result.profile)), ("report", str(result.report)), ("next", next_run)])
    return 0
