"""DAGs that change which version is champion: `rollback` and `promote_version`, each with a form and one task.

The task runs the command of the same purpose, so checks, log and tags are the same; "who" is the Airflow user who
triggered the run.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from airflow.sdk import DAG, BaseOperator, Context, Param

from components.public_text import public
from components.registry import promotion_log
from components.registry.approval import OF_APPROVAL
from components.registry.promotion_log import Promotion
from pipeline.airflow import dag_docs, notifications, task_log
from pipeline.airflow.assets import champions, report_champion
from pipeline.airflow.dag import common_arguments, make_dag
from pipeline.airflow.external_python import Child
from pipeline.airflow.links import LINKS
from pipeline.airflow.project import Project
from pipeline.airflow.run_names import run_name
from pipeline.airflow.task import failures
from pipeline.home import Home
from pipeline.run_record import Model

NUMBER = r"^[1-9]\d*$"
LONGEST_REASON = 1000  # characters
ABOUT = ("digest", "accuracy")  # of the version, for the event of the champion's asset
SHOWN = 10  # former champions of a model, in the docs

Form = Mapping[str, Any]
History = Mapping[str, list[Promotion]]  # by model, the moves that made its champions: the present one first


def rollback(project: Project) -> DAG:
    """Restore a former champion: the one before the present one, or the version that the form names."""
    history = former_champions(project)
    versions = [move.version for moves in history.values() for move in moves[1:]]
    form = {
        "model": _model(project, enum=[*history, None]) if history else _model(project),
        "version": _text("version", "the former champion (empty: the one before the present)", NUMBER, versions),
        "reason": _text("reason", "why, for the promotion log"),
    }
    return _dag(project, "rollback", dag_docs.ROLLBACK, form, history, rollback_command)


def promote_version(project: Project) -> DAG:
    """Make a version champion manually, whatever the gates say."""
    history = former_champions(project)
    form = {
        "model": _model(project, examples=list(history)),
        "version": Param(type="string", title="version", pattern=NUMBER, description="a version's number"),
        "reason": Param(
            type="string", title="reason", minLength=1, maxLength=LONGEST_REASON, description="why: no gate is checked"
        ),
    }
    return _dag(project, "promote_version", dag_docs.PROMOTE_VERSION, form, history, promote_command)


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

    def __init__(self, *, project: Project, command: Callable[[Form], list[str]], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.project = project
        self._command = command
        self._child: Child | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        form, ti = context["params"], context["ti"]
        words = [*self._command(form), *_option("--name", form["model"] or self.project.registered_model)]
        words += [*_option("--by", context["dag_run"].triggering_user_name), f"--run={run_name(ti.dag_id, ti.run_id)}"]
        with task_log.of_pipeline(), failures(context), self.project.of_task(ti.dag_id):
            self._child = Child(self.project.schedule.python or sys.executable)
            facts = self._child.command(*words)
        made: Model = {"name": facts["name"], "version": facts["version"]}
        report_champion(context, made if facts["made"] else None, {name: facts[name] for name in ABOUT})
        return facts

    def on_kill(self) -> None:
        if self._child:
            self._child.end()


def _option(name: str, value: str | None) -> list[str]:
    return [f"{name}={value}"] if value else []  # in one word: a reason may begin with a dash


def _dag(
    project: Project,
    name: str,
    text: str,
    form: dict[str, Param],
    history: History,
    command: Callable[[Form], list[str]],
) -> DAG:
    dag = make_dag(
        project,
        name,
        schedule=None,
        params=form,
        tags=[*project.tags, "registry"],
        description=text.partition("\n")[0],
        doc_md=dag_docs.page(f"{text}\n{champions_table(history)}", project.problem),
    )
    with dag:
        RegistryCommand(
            command=command,
            doc_md=text,
            outlets=champions(project),
            on_failure_callback=project.within(notifications.failed),
            **common_arguments(name, project),
        )
    return dag


def _model(project: Project, **schema: Any) -> Param:
    name = project.registered_model
    hint = f" (empty: {name})" if name else ""
    return _param("model", f"registered model{hint}", **schema)


def _text(name: str, description: str, pattern: str = "", examples: list[str] | None = None) -> Param:
    schema = {"pattern": pattern} if pattern else {"maxLength": LONGEST_REASON}
    return _param(name, description, **schema, **({"examples": list(dict.fromkeys(examples))} if examples else {}))


def _param(name: str, description: str, **schema: Any) -> Param:
    return Param(None, type=["null", "string"], title=name, description=description, **schema)


def former_champions(project: Project) -> History:
    """What the promotion log says of each model; nothing where it cannot be read, which the task reports."""
    with suppress(OSError), project.environment():
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
