"""`python -m pipeline tune`: search, then write down what was found."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.errors import ModelRejected, Unavailable
from components.settings.sections import Params
from pipeline import config
from pipeline.graph import ancestors
from pipeline.home import Home
from pipeline.run_record import RunRecord, now
from pipeline.runner import Runner
from pipeline.store import recipe as keys
from pipeline.store.code_hash import code_hashes
from pipeline.store.disk_errors import storage_errors
from pipeline.tuning import best_settings, report
from pipeline.tuning.plan import Choices, Plan
from pipeline.tuning.search import Search
from pipeline.tuning.study import Study, Trial, opened
from pipeline.tuning.summary import table
from pipeline.tuning.tracking import Journal


@dataclass(frozen=True)
class Found:
    """What a search came to; `tune --json` prints all but the *table*."""

    study: str
    objective: str
    trials: dict[str, int]  # completed, pruned, failed -> how many
    best: dict[str, Any]  # trial, value, settings, key of its training
    profile: str
    report: str
    mlflow_run: str
    seconds: float
    table: tuple[tuple[str, ...], list[tuple[str, ...]]]  # head and rows

    @property
    def answer(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "table"}


def tune(plan: Plan, home: Home, out: Path) -> Found:
    """Go on with the study until it has its trials or the time is over, then write its best profile and its report.

    Raises ModelRejected where no trial was completed, Unavailable where none was in time. Whatever ends it, what was
    finished is kept, and the next call goes on from there.
    """
    start, name = time.monotonic(), plan.tune.study
    home.prepare()
    home.store.sweep()
    data = _images(plan, home)
    page = home.tuning / f"{name}.html"
    with opened(home, name, plan, _common(plan, data)) as study:
        journal = Journal(home, plan, study)
        try:
            Search(plan, home, study, journal, data).run()
            best = _best(study, plan)
        except BaseException:
            journal.finish("KILLED")
            raise
        with storage_errors(home.root):
            best_settings.write(out, plan, study, best)
            report.write(page, plan, study, best, out)
        journal.finish("FINISHED", out, page)
        found = Found(
            study=name,
            objective=plan.tune.objective,
            trials=study.counts,
            best={"trial": best.number, "value": best.value, "settings": best.chosen, "key": best.key},
            profile=str(out),
            report=str(page),
            mlflow_run=journal.run,
            seconds=round(time.monotonic() - start, 3),
            table=table(study, plan.tune.objective),
        )
    with storage_errors(home.root):
        (home.tuning / f"{name}.json").write_text(json.dumps(found.answer, indent=2) + "\n")
    return found


def _images(plan: Plan, home: Home) -> Runner:
    """A runner that has made, or found and read, the images that all trials see."""
    runner = Runner(plan.params, home, RunRecord(f"tune {plan.tune.study}", now(), plan.params.ingest.source))
    for stage in ancestors("train"):
        runner.run_stage(stage)
    runner.verify("normalize")
    return runner


def _common(plan: Plan, data: Runner) -> keys.Recipe:
    """The recipe of all trainings, without what the space varies: what their values must share to be compared."""
    recipe = data.recipe("train")
    fixed = {name: value for name, value in recipe["params"].items() if f"train.{name}" not in plan.space}
    modules = {module for params in _models(plan) for module in keys.modules_of("train", params)}
    return {**recipe, "params": fixed, "code": code_hashes(data.home.cache).reached(sorted(modules))}


def _models(plan: Plan) -> list[Params]:
    """The settings with each network that is tried."""
    tried = plan.space.get("train.model")
    models = tried.values if isinstance(tried, Choices) else (plan.params.train.model,)
    return [config.complete(plan.settings({"train.model": model})) for model in models]


def _best(study: Study, plan: Plan) -> Trial:
    if best := study.best:
        return best
    if not study.ended:
        raise Unavailable(
            f"no trial of study {study.name} was completed within {plan.tune.seconds:g} s; run it again, with more "
            "--seconds, to go on"
        )
    raise ModelRejected(
        f"none of the {len(study.ended)} trials of study {study.name} was completed; the last one: "
        f"{study.ended[-1].reason}. Change [tune.space] and begin another study with --study NAME"
    )
