"""The report of a study: one HTML file with everything in it, like that of a run (pipeline.report.html)."""

import shlex
import tempfile
from pathlib import Path
from typing import Any

from components.formatting import duration
from pipeline.report.files import picture
from pipeline.report.html import environment
from pipeline.tuning import figures
from pipeline.tuning.plan import Plan
from pipeline.tuning.study import Study, Trial
from pipeline.tuning.summary import figure, plain, words


def write(page: Path, plan: Plan, study: Study, best: Trial, profile: Path) -> None:
    """Write the page about *study*, whose best trial lies in *profile*, to the file *page*."""
    text = environment(Path(__file__).parent).get_template("report.html.j2").render(view(plan, study, best, profile))
    part = page.with_name(f".{page.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(page)


def view(plan: Plan, study: Study, best: Trial, profile: Path) -> dict[str, Any]:
    """What the template shows."""
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
        "found": [(name, plain(best.chosen[name]), words(span)) for name, span in plan.space.items()],
        "rows": [_row(t, list(plan.space), objective) for t in trials],
        "profile": shlex.quote(str(profile)),
        "pictures": _pictures(plan, trials, best, shares),
    }


def _first(plan: Plan, trials: list[Trial], objective: str) -> str:
    """What the settings had before the search came to, "" where they were not tried or did not end."""
    tried = [t for t in trials if t.chosen == plan.first and t.state == "completed"]
    return figure(tried[0].value, objective) if tried else ""


def _row(trial: Trial, names: list[str], objective: str) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state,
        "value": figure(trial.value, objective),
        "epochs": trial.epochs,
        "chosen": [plain(trial.chosen[name]) if name in trial.chosen else "" for name in names],
        "reason": trial.reason,
        "seconds": duration(trial.seconds),
    }


def _pictures(plan: Plan, trials: list[Trial], best: Trial, shares: dict[str, float]) -> dict[str, Any]:
    """name -> picture as the template wants it, None where there is nothing to draw."""
    objective = plan.tune.objective
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}.png" for name in ("history", "importances", "slices")}
        figures.history(trials, objective, files["history"])
        figures.slices(trials, best, plan.space, objective, files["slices"])
        if shares:
            figures.importances(shares, files["importances"])
        alts = {
            "history": f"Validation {objective} of each trial; trial {best.number} is the best",
            "importances": "Bar chart: share of each setting in the differences",
            "slices": f"Validation {objective} against each searched setting",
        }
        return {name: picture(file, alts[name]) for name, file in files.items()}
