"""`python -m pipeline tune`: search, then write the best settings and the report."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from components.errors import ModelRejected, Unavailable
from components.progress import say
from components.settings.sections import Params
from components.system.files import write_atomically
from pipeline import config
from pipeline.graph import ancestors
from pipeline.home import Home
from pipeline.run_record import RunRecord, now
from pipeline.runner import Runner
from pipeline.store import recipe as keys
from pipeline.store.code_hash import code_hashes
from pipeline.store.disk_errors import storage_errors
from pipeline.tuning import best_settings, report
from pipeline.tuning.plan import Choices, Plan, Settings
from pipeline.tuning.search import Search
from pipeline.tuning.study import Study, Trial, opened
from pipeline.tuning.summary import Table, table
from pipeline.tuning.tracking import SearchTracking


@dataclass(frozen=True)
class Best:
    """The best trial: *key* is that of its training in the store."""

    trial: int
    value: float | None
    settings: Settings
    key: str


@dataclass(frozen=True)
class SearchResult:
    """The result of a search; `tune --json` prints all but the *table*."""

    study: str
    objective: str
    trials: dict[str, int]  # completed, pruned, failed -> how many
    best: Best
    profile: str
    report: str
    mlflow_run: str
    seconds: float
    table: Table

    @property
    def answer(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if name != "table"}


def tune(plan: Plan, home: Home, out: Path) -> SearchResult:
    """Continue the study until it is complete or time is up, then write its best settings and its report.

    Raises ModelRejected where no trial was completed, Unavailable where none was in time. However it ends, finished
    trials are kept, and the next call continues from there.
    """
    start, name = time.monotonic(), plan.tune.study
    home.prepare()
    home.store.sweep()
    data = _images(plan, home)
    page = home.tuning / f"{name}.html"
    with opened(home, plan, _common_recipe(plan, data)) as study:
        tracking = SearchTracking(home, plan, study)
        try:
            Search(plan, home, study, tracking, data).run()
            best = _best(study, plan)
            with storage_errors(home.root):
                best_settings.write(out, plan, study, best)
                report.write(page, plan, study, best, out)
        except BaseException as error:
            _close(tracking, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        tracking.finish("FINISHED", out, page)
        result = SearchResult(
            study=name,
            objective=plan.tune.objective,
            trials=study.counts,
            best=Best(best.number, best.value, best.chosen, best.key),
            profile=str(out),
            report=str(page),
            mlflow_run=tracking.run,
            seconds=round(time.monotonic() - start, 3),
            table=table(study, plan.tune.objective),
        )
    with storage_errors(home.root):
        write_atomically(home.tuning / f"{name}.json", json.dumps(result.answer, indent=2) + "\n")
    return result


def _close(tracking: SearchTracking, state: str) -> None:
    """End the MLflow run of a search that failed; that this fails too must not hide why."""
    try:
        tracking.finish(state)
    except Exception as failure:
        say(f"  warning: the MLflow run of the search is not closed: {failure}")


def _images(plan: Plan, home: Home) -> Runner:
    """A runner with the images that all trials see, made where they are not there, and verified."""
    runner = Runner(plan.params, home, RunRecord(f"tune {plan.tune.study}", now(), plan.params.ingest.source))
    for stage in ancestors("train"):
        runner.run_stage(stage)
    runner.verify("normalize")
    return runner


def _common_recipe(plan: Plan, data: Runner) -> keys.Recipe:
    """The recipe of all trainings, without the searched settings: what their values must share to be compared."""
    recipe = data.recipe("train")
    fixed = {name: value for name, value in recipe["params"].items() if f"train.{name}" not in plan.space}
    modules = {module for params in _networks(plan) for module in keys.modules_of("train", params)}
    return {**recipe, "params": fixed, "code": code_hashes(data.home.cache).reached(sorted(modules))}


def _networks(plan: Plan) -> list[Params]:
    """The settings with each network that is tried."""
    searched = plan.space.get("train.model")
    names = searched.values if isinstance(searched, Choices) else (plan.params.train.model,)
    return [config.complete(plan.settings({"train.model": name})) for name in names]


def _best(study: Study, plan: Plan) -> Trial:
    if best := study.best:
        return best
    if not study.ended:
        raise Unavailable(
            f"no trial of study {study.name} was completed within {plan.tune.seconds:g} s; run it again, with more "
            "--seconds, to continue"
        )
    raise ModelRejected(
        f"none of the {len(study.ended)} trials of study {study.name} was completed; the last one: "
        f"{study.ended[-1].reason}. Change [tune.space] and begin another study with --study NAME"
    )
