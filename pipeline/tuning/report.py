"""The report of a study: one self-contained HTML file, like that of a run (pipeline.report.html)."""

import shlex
import tempfile
from pathlib import Path

from components.formatting import duration
from components.public_text import public
from components.system.files import write_atomically
from pipeline.report.files import Picture, picture
from pipeline.report.rendering import environment
from pipeline.tuning import figures
from pipeline.tuning.plan import Plan
from pipeline.tuning.study import Study, Trial
from pipeline.tuning.summary import figure, plain, words


def write(page: Path, plan: Plan, study: Study, best: Trial, profile: Path) -> None:
    """Write the page about *study*, whose best settings are in the file *profile*, to the file *page*."""
    text = environment(Path(__file__).parent).get_template("report.html.j2").render(view(plan, study, best, profile))
    write_atomically(page, public(text))


def view(plan: Plan, study: Study, best: Trial, profile: Path) -> dict[str, object]:
    """The variables of the template."""
    trials, objective = study.ended, plan.tune.objective
    shares = study.importances()
    return {
        "study": study.name,
        "source": plan.params.ingest.source,
        "objective": objective,
        "best": best,
        "value": figure(best.value, objective),
        "first": _first(plan, trials, objective),
        "counts": study.counts,
        "seconds": duration(sum(t.seconds for t in trials)),
        "epochs": sum(t.epochs for t in trials),
        "names": list(plan.space),
        "best_settings": [(name, plain(best.chosen[name]), words(span)) for name, span in plan.space.items()],
        "rows": [_row(t, list(plan.space), objective) for t in trials],
        "profile": shlex.quote(str(profile)),
        "pictures": _pictures(plan, trials, best, shares),
    }


def _first(plan: Plan, trials: list[Trial], objective: str) -> str:
    """The value of the settings before the search, "" where they were not tried or not completed."""
    completed = [trial for trial in trials if trial.chosen == plan.first and trial.state == "completed"]
    return figure(completed[0].value, objective) if completed else ""


def _row(trial: Trial, names: list[str], objective: str) -> dict[str, object]:
    return {
        "number": trial.number,
        "state": trial.state,
        "value": figure(trial.value, objective),
        "epochs": trial.epochs,
        "chosen": [plain(trial.chosen[name]) if name in trial.chosen else "" for name in names],
        "reason": trial.reason,
        "seconds": duration(trial.seconds),
    }


def _pictures(plan: Plan, trials: list[Trial], best: Trial, shares: dict[str, float]) -> dict[str, Picture | None]:
    """name -> picture for the template, None where there is nothing to draw."""
    objective = plan.tune.objective
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}.png" for name in ("history", "importances", "slices")}
        figures.history(trials, objective, files["history"])
        figures.slices(trials, best, plan.space, objective, files["slices"])
        if shares:
            figures.importances(shares, files["importances"])
        alts = {
            "history": f"Validation {objective} of each trial; trial {best.number} is the best",
            "importances": "Bar chart: share of each setting in the variation of the values",
            "slices": f"Validation {objective} against each searched setting",
        }
        return {name: picture(file, alts[name]) for name, file in files.items()}
