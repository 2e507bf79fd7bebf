"""Messages of the pipeline in the words of Airflow's UI: advice is what to click there, not what to type.

train longer with --set train.epochs=16     ->  train longer: *Trigger* a run with train.epochs=16
run 'python -m pipeline stage train' first  ->  *Clear* `train` with *downstream*
"""

import os
import re
from collections.abc import Mapping
from typing import Any

from components.advice import Action, Again, Command, Package, Run, Setting, Stage, reworded
from components.errors import Failure
from components.public_text import public
from pipeline.airflow.links import mlflow_ui
from pipeline.airflow.params_form import overrides

RETRIED, FOR_GOOD = "the task is tried again by itself", "*Clear* the task"
DAGS = ("retrain", "rollback", "promote_version")  # whose tasks give advice
PROMOTE = re.compile(r"promote (\S+) --(?:force|approve)(?: --reason TEXT)?")
JOINED = {"with": ": ", "only with": " only if you ", "such as": ": ", ":": ": ", "in": " in "}  # by an opening


def in_airflow(text: str, again: str = RETRIED) -> str:
    """*text* for the log of a task, or for a notification; *again* is how what has failed is repeated."""
    return reworded(text, lambda action: _words(action, again))


def problem(failure: Failure, form: Mapping[str, Any], again: str = RETRIED) -> str:
    """What *failure* says; where it advises another run, also what that needs of the *form* of this one."""
    advised = {name for action in failure.advice if isinstance(action, Run) for name in action.settings}
    kept = [setting for setting in overrides(form) if setting.partition("=")[0] not in advised]
    kept_too = f"; keep this run's {', '.join(kept)}" if advised and kept else ""
    return str(public(in_airflow(str(failure), again) + kept_too))


def _words(action: Action, again: str) -> str:
    match action:
        case Again():
            return again
        case Run():
            return _trigger(action)
        case Stage(name, opening):
            return f"{JOINED.get(opening, '')}*Clear* `{name}` with *downstream*"
        case Command():
            return _command(action)
        case Package(name):
            return f"install {name} for Airflow's workers"
        case Setting(name):
            return name


def _trigger(run: Run) -> str:
    chosen = [f"{name}={value}" for name, value in run.settings.items()] + [f"force={run.force}"] * bool(run.force)
    if not chosen:
        return "the next try"
    example = ", for example" if run.opening == "such as" else ""
    return f"{JOINED.get(run.opening, '')}*Trigger* a run with {', '.join(chosen)}{example}"


def _command(command: Command) -> str:
    """What the UI has instead of the command; some that change something have no such thing."""
    joined = JOINED.get(command.opening, "")
    if promoted := PROMOTE.fullmatch(command.words):
        number = f" with version={promoted[1]}" if promoted[1].isdigit() else ""
        return f"{joined}*Trigger* `{_dag('promote_version')}`{number}"
    match command.words:
        case "rollback":
            return f"{joined}*Trigger* `{_dag('rollback')}`"
        case "promote --pending":
            return f"{joined}*Required Actions*"
        case "report":
            return f"{' in ' if command.opening else ''}the run's report"
        case "models":
            words = f"{mlflow_ui()}/#/models"
        case "make mlflow":
            words = mlflow_ui()
        case other:
            words = f"the pipeline's command `{other.removeprefix('make ')}`"
    return f"{' with ' if command.opening == 'with' else joined}{words}"


def _dag(name: str) -> str:
    """The id of the DAG *name* of the model whose task this process runs: one Airflow may have many models."""
    own = os.environ.get("AIRFLOW_CTX_DAG_ID", "")
    suffixes = [suffix for suffix in DAGS if own.endswith(f"_{suffix}")]
    return f"{own.removesuffix(suffixes[0])}{name}" if suffixes else name
