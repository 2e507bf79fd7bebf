"""What each command does: one function a command, options in, exit status out."""

import json
import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.errors import ArtifactCorrupt, ConfigError, Failure
from components.progress import say
from components.registry.client import Registry
from components.registry.promotion_log import person
from components.registry.readers import ModelVersion
from components.settings.sections import Ingest, Params
from components.system.processes import failure_message
from components.train.distributed.cluster import cluster
from pipeline import config, execute, garbage, summary
from pipeline.graph import ancestors
from pipeline.home import Home
from pipeline.run_record import Done, RunRecord, find, load, new_run, now, records
from pipeline.runner import Runner
from pipeline.store import recipe as keys
from pipeline.store.disk_errors import storage_errors
from pipeline.tracking import RUN_TAG


def run(options: Namespace) -> int:
    home, params = _home(), _params(options)
    say(f"{params.ingest.source} -> {params.register.name}, in {home.root}")
    name = new_run()
    try:
        runner = execute.run(params, home, name, until=options.until, force=options.force)
    finally:
        if options.json and (record := load(home.runs / name)):
            _print_json(answer(record))
    if not options.json:
        print("\n" + summary.text(runner.record, runner))
    return 0


def answer(record: RunRecord) -> dict[str, Any]:
    """What `run --json` and `show --json` print."""
    parts = ("run", "state", "stages", "accuracy", "model", "report", "error")
    return {name: value for name, value in asdict(record).items() if name in parts}


def stage(options: Namespace) -> int:
    try:
        done = execute.run_stage(_params(options), _home(), options.stage, options.run)
    except Failure as failure:
        if options.json:
            _print_json(failure_message(failure))
        raise
    if options.json:
        _print_json(done)
    return 0


def explain(options: Namespace) -> int:
    from pipeline.explain import explain as explanations

    params = _params(options)
    runner = Runner(params, _home(), RunRecord(new_run(), now()), heal=False)
    found = [e for e in explanations(runner) if options.stage in ("", e.stage)]
    if options.json:
        _print_json([asdict(e) for e in found])
    else:
        _table(("stage", "would", "key", "because"), [(e.stage, e.verdict, e.key, "; ".join(e.reasons)) for e in found])
    return 0


def find_lr(options: Namespace) -> int:
    """Sweep the learning rate over one short training; no artifact depends on it and no run is recorded."""
    from components.train import lr_finder

    home, params = _home(), _params(options)
    home.prepare()
    folder = home.runs / new_run()
    runner = Runner(params, home, RunRecord(folder.name, now()))
    for name in ancestors("train"):
        say(summary.line(runner.run_stage(name), runner.facts[name]))
    found = lr_finder.sweep(runner.artifact("normalize").path, params.train)
    with storage_errors(home.root):
        folder.mkdir()
        picture = lr_finder.write(found, params.train, folder)
    given = [
        part for name in ("source", "config") if (value := getattr(options, name)) for part in (f"--{name}", value)
    ]
    given += [part for text in [*options.set, f"train.learning_rate={found.suggestion:g}"] for part in ("--set", text)]
    command = shlex.join(["python", "-m", "pipeline", "run", *given])
    if options.json:
        _print_json({"suggestion": found.suggestion, "picture": str(picture), "command": command})
    else:
        print(f"learning rate {found.suggestion:g}; the curve: {picture}\n\n  {command}")
    return 0


def show(options: Namespace) -> int:
    record = find(_home(), options.run)
    if options.json:
        _print_json(answer(record))
        return 0
    model = f"{record.model['name']} version {record.model['version']}" if record.model else ""
    facts = [("run", record.run), ("state", record.state), ("source", record.source), ("started", record.started)]
    facts += [("took", summary.duration(record.seconds)), ("accuracy", _percent(record.accuracy)), ("model", model)]
    facts += [("report", record.report), ("commit", record.git_commit), ("error", record.error)]
    facts += [(name, str(value)) for name, value in record.chosen.items()]
    print("\n".join(f"{name:<10} {value}" for name, value in facts if value) + "\n")
    _table(("stage", "key", "digest", "", "seconds"), [_stage_row(s) for s in record.stages])
    return 0


def _stage_row(done: Done) -> tuple[str, ...]:
    return done.stage, done.key, done.digest[:16], "made" if done.made else "reused", f"{done.seconds:.1f}"


def tune(options: Namespace) -> int:
    from pipeline.tuning import best_settings, plan
    from pipeline.tuning.tune import tune as search

    file, home = options.config or os.environ.get("PIPELINE_CONFIG", ""), _home()
    if os.environ.get("TF_CONFIG"):
        raise ConfigError("TF_CONFIG is set, and a search trains on this machine alone; unset TF_CONFIG")
    chosen = {name: getattr(options, name) for name in ("trials", "parallel", "seconds", "study")}
    asked = plan.plan(file, options.set, chosen, lambda: _params(options))
    out = Path(options.out) if options.out else home.tuning / f"{asked.tune.study}.toml"
    if options.out:
        best_settings.check(out, file)
    say(f"study {asked.tune.study}: {asked.params.ingest.source}, in {home.tuning}")
    found = search(asked, home, out)
    if options.json:
        _print_json(found.answer)
        return 0
    _table(*found.table)
    facts = [
        ("profile", found.profile),
        ("report", found.report),
        ("next", shlex.join(["python", "-m", "pipeline", "run", "--config", str(out)])),
    ]
    print("\n".join(f"{name:<10} {value}" for name, value in facts))
    return 0


def runs(options: Namespace) -> int:
    found = records(_home())
    if options.json:
        _print_json([answer(record) for record in found])
        return 0
    rows = []
    for r in found:
        version = f"{r.model['name']} {r.model['version']}" if r.model else ""
        rows.append(
            (
                r.run,
                r.state,
                r.source,
                _percent(r.accuracy),
                version,
                summary.duration(r.seconds),
                r.error.partition(";")[0],
            )
        )
    _table(("run", "state", "source", "accuracy", "model", "took", "error"), rows)
    return 0


def settings(options: Namespace) -> int:
    # nothing is going to run, so there is no need to look for the images
    file = options.config or os.environ.get("PIPELINE_CONFIG", "")
    params, _ = config.load(file, options.set, options.source, have=lambda ingest: True)
    specs = [(name, value, config.SETTINGS[name].metadata) for name, value in config.flat(params).items()]
    if options.json:
        _print_json({name: value for name, value, _ in specs})
    else:
        _table(("setting", "value", "meaning"), [(n, json.dumps(v), spec["help"]) for n, v, spec in specs])
    return 0


def verify(options: Namespace) -> int:
    store = _home().store
    rows = []
    for stage, key in store.list():
        try:
            artifact = store.get(stage, key)
            if artifact:
                store.verify(artifact)
            rows.append({"stage": stage, "key": key, "problem": ""})
        except ArtifactCorrupt as error:
            rows.append({"stage": stage, "key": key, "problem": str(error)})
    bad = [row for row in rows if row["problem"]]
    if options.json:
        _print_json(rows)
    else:
        for row in bad:
            print(row["problem"])
        print(f"{len(rows)} artifacts read, {len(bad)} damaged")
    return 1 if bad else 0


def gc(options: Namespace) -> int:
    if options.keep < 0:
        raise ConfigError(f"--keep is {options.keep}; expected how many of the last runs to keep, 0 or more")
    home = _home()
    aliased = [v for v in _versions(home) if v.aliases]
    waste = garbage.find(home, [v.tags for v in aliased], options.keep)
    if not options.dry_run:
        garbage.collect(home, waste)
    if options.json:
        _print_json({"artifacts": [f"{s}/{k}" for s, k in waste.artifacts], "bytes": waste.bytes})
        return 0
    for stage, key in waste.artifacts:
        print(f"{stage}/{key}")
    verb = "would free" if options.dry_run else "freed"
    print(f"{verb} {waste.bytes / 1e6:,.1f} MB in {len(waste.artifacts)} artifacts")
    return 0


def models(options: Namespace) -> int:
    rows: list[dict[str, Any]] = [
        {
            "name": v.name,
            "version": v.version,
            "aliases": list(v.aliases),
            "accuracy": float(v.tags["accuracy"]) if "accuracy" in v.tags else None,
            "digest": v.digest,
            "run": v.tags.get(RUN_TAG, ""),
        }
        for v in _versions(_home(), options.name)
    ]
    if options.json:
        _print_json(rows)
    elif not rows:
        raise ConfigError("nothing is registered yet; 'make pipeline' registers its model")
    else:
        _table(("model", "version", "aliases", "accuracy", "digest", "run"), [_model_row(row) for row in rows])
    return 0


def _model_row(row: dict[str, Any]) -> tuple[str, ...]:
    aliases = " ".join(f"@{alias}" for alias in row["aliases"])
    return row["name"], row["version"], aliases, _percent(row["accuracy"]), row["digest"][:16], row["run"]


def promote(options: Namespace) -> int:
    """Crown a version by hand; what the gates say is not asked, so it takes --force and a reason."""
    from components.promote.stage import force

    if not options.force or not options.reason:
        raise ConfigError(
            "promoting by hand passes every gate by: write python -m pipeline promote VERSION --force --reason TEXT"
        )
    return _crown(
        options.name, lambda registry, name, log: force(registry, name, options.version, options.reason, person(), log)
    )


def rollback(options: Namespace) -> int:
    from components.promote.stage import rollback as back

    return _crown(options.name, lambda registry, name, log: back(registry, name, options.reason, person(), log))


def _crown(name: str, act: Callable[[Registry, str, Path], dict[str, Any]]) -> int:
    """Move the alias by *act* under the registry's lock and tell what became of it."""
    home = _home()
    registry = Registry(home.tracking_uri)
    names = [name] if name else registry.names()
    if len(names) != 1:
        raise ConfigError(
            f"there are several registered models; add --name, one of {', '.join(names)}"
            if names
            else "nothing is registered yet; 'make pipeline' registers its model"
        )
    with home.lock(f"registry-{names[0]}"):
        facts = act(registry, names[0], home.promotions)
    before = f"it was version {facts['before']}" if facts["before"] else "there was none before"
    print(f"the champion of {facts['name']} is version {facts['version']} ({before})")
    return 0


def report(options: Namespace) -> int:
    for record in records(_home()):
        if record.report:
            print(record.report)
            return 0
    raise ConfigError("no run has written a report yet; 'make pipeline' writes one")


# Shared by the commands


def _home() -> Home:
    return Home.from_environment()


def _params(options: Namespace) -> Params:
    return settings_of_run(options.config or os.environ.get("PIPELINE_CONFIG", ""), options.set, options.source)


def settings_of_run(file: str, overrides: Sequence[str], source: str = "") -> Params:
    """The settings, and a notice where a person must know how "auto" was settled."""
    params, notice = config.load(file, overrides, source, have=_ingested)
    if notice:
        say(notice)
    cluster(params.train.workers)  # what is wrong with TF_CONFIG is told before anything runs
    return params


def _ingested(ingest: Ingest) -> bool:
    """Whether the images of *ingest* are in the store already."""
    home, params = _home(), Params(ingest=ingest)
    from components.ingest.sources import select

    recipe = keys.recipe_of("ingest", params, {}, select.fingerprint(ingest, home.cache), cache=home.cache)
    return home.store.get("ingest", keys.key(recipe), files=False) is not None


def _versions(home: Home, name: str = "") -> list[ModelVersion]:
    """Every version of the registered model *name*, or of all."""
    registry = Registry(home.tracking_uri)
    return [version for model in ([name] if name else registry.names()) for version in registry.versions(model)]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2)
    print()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 200, soft_wrap=False, highlight=False)
    console.print(table)
