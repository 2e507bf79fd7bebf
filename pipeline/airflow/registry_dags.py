"""DAGs that change which version is champion: `rollback` and `promote_version`, each with a form and one task.

The task runs the command of the same purpose, so checks, log and tags are the same; "who" is the Airflow user who
triggered the run.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from airflow.sdk import DAG, BaseOperator, Context, Param

from components.errors import Failure
from components.public_text import public
from components.registry import promotion_log
from components.registry.approval import OF_APPROVAL
from components.registry.promotion_log import Promotion
from pipeline import config
from pipeline.airflow import dag_docs, notifications, task_log
from pipeline.airflow.assets import CHAMPIONS, report_champion
from pipeline.airflow.dag import common_arguments
from pipeline.airflow.external_python import Child
from pipeline.airflow.links import LINKS
from pipeline.airflow.params_form import Values, read_settings, schedule
from pipeline.airflow.run_names import run_name
from pipeline.airflow.task import failures
from pipeline.home import Home

NUMBER = r"^[1-9]\d*$"
LONGEST_REASON = 1000  # characters
SHOWN = 10  # former champions of a model, in the docs

Form = Mapping[str, Any]
History = Mapping[str, list[Promotion]]  # by model, the moves that made its champions: the present one first


def rollback(dag_id: str = "rollback") -> DAG:
    """The DAG that restores a former champion of the model of the settings file, or of another one."""
    history = former_champions()
    versions = [move.version for moves in history.values() for move in moves[1:]]
    form = {
        "model": _model(enum=[*history, None]) if history else _model(),
        "version": _text("version", "the former champion (empty: the one before the present)", NUMBER, versions),
        "reason": _text("reason", "why, for the promotion log"),
    }
    return _dag(dag_id, dag_docs.ROLLBACK, form, history, rollback_command)


def promote_version(dag_id: str = "promote_version") -> DAG:
    """The DAG that makes any version champion, whatever the gates say."""
    history = former_champions()
    form = {
        "model": _model(examples=list(history)),
        "version": Param(type="string", title="version", pattern=NUMBER, description="a version's number"),
        "reason": Param(
            type="string", title="reason", minLength=1, maxLength=LONGEST_REASON, description="why: no gate is checked"
        ),
    }
    return _dag(dag_id, dag_docs.PROMOTE_VERSION, form, history, promote_command)


def rollback_command(form: Form) -> list[str]:
    return ["rollback", *_option("--to", form["version"]), *_option("--reason", form["reason"])]


def promote_command(form: Form) -> list[str]:
    return ["promote", form["version"], "--force", *_option("--reason", form["reason"])]


class RegistryCommand(BaseOperator):
    """Runs the command that the form of the run describes, and reports the champion by an event of its asset.

    A retry or *Clear* repeats nothing.
    """

    operator_extra_links = LINKS
    ui_color = "#e8f0fe"

    def __init__(self, *, command: Callable[[Form], list[str]], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._command = command
        self._child: Child | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        values, form = read_settings()[0], context["params"]
        words = [*self._command(form), *_option("--name", form["model"] or model_of(values))]
        run = run_name(context["ti"].dag_id, context["ti"].run_id)
        words += [*_option("--by", context["dag_run"].triggering_user_name), f"--run={run}"]
        with task_log.of_pipeline(), failures(context):
            self._child = Child(schedule(values).python or sys.executable)
            facts = self._child.command(*words)
        if facts["made"]:
            report_champion(context, facts["name"], facts["version"], facts["digest"], facts["accuracy"])
        return facts

    def on_kill(self) -> None:
        if self._child:
            self._child.end()


def _option(name: str, value: str | None) -> list[str]:
    return [f"{name}={value}"] if value else []  # in one word: a reason may begin with a dash


def _dag(dag_id: str, text: str, form: dict[str, Param], history: History, command: Callable[[Form], list[str]]) -> DAG:
    values, problem = read_settings()
    with DAG(
        dag_id,
        schedule=None,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        params=form,
        tags=["pipeline", "registry"],
        description=text.partition("\n")[0],
        doc_md=dag_docs.page(f"{text}\n{champions_table(history)}", problem),
    ) as dag:
        RegistryCommand(
            command=command,
            doc_md=text,
            outlets=[CHAMPIONS],
            on_failure_callback=notifications.failed,
            **common_arguments(dag_id, schedule(values)),
        )
    return dag


def _model(**schema: Any) -> Param:
    return _param("model", "registered model (empty: that of the settings file)", **schema)


def _text(name: str, description: str, pattern: str = "", examples: list[str] | None = None) -> Param:
    schema = {"pattern": pattern} if pattern else {"maxLength": LONGEST_REASON}
    return _param(name, description, **schema, **({"examples": list(dict.fromkeys(examples))} if examples else {}))


def _param(name: str, description: str, **schema: Any) -> Param:
    return Param(None, type=["null", "string"], title=name, description=description, **schema)


def model_of(values: Values) -> str:
    """The registered model of the settings; "" where the source "auto", or one that is away, leaves it open."""
    if named := str(values["register.name"]):
        return named
    with suppress(Failure):
        ingest = config.ingest_section(values)
        return "" if ingest.source == config.AUTO else config.classifier_of(ingest)
    return ""


def former_champions() -> History:
    """What the promotion log says of each model; nothing where it cannot be read, which the task reports."""
    with suppress(OSError):
        lines = promotion_log.read(Home.from_environment().promotions)
        return {name: _moves([line for line in lines if line.name == name]) for name in sorted({x.name for x in lines})}
    return {}


def _moves(lines: list[Promotion]) -> list[Promotion]:
    """The latest line about each champion that a rollback can restore, the present one first."""
    by_champion = {line.champion: line for line in lines if line.action not in OF_APPROVAL}
    return [by_champion[champion] for champion in reversed(promotion_log.champion_history(lines))]


def champions_table(history: History) -> str:
    """The champions of each model as Markdown; the first of each model is the present one."""
    if not any(history.values()):
        return "No model has been promoted yet."
    rows = [_row(move) for moves in history.values() for move in moves[:SHOWN]]
    return "\n".join(["| model | version | champion since (UTC) | by | why |", "|---|---|---|---|---|", *rows])


def _row(move: Promotion) -> str:
    since = move.time[:16].replace("T", " ")
    cells = (move.name, move.version, since, move.who, move.reason)
    return f"| {' | '.join(dag_docs.plain(public(cell)) for cell in cells)} |"
