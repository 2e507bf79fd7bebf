"""What Airflow's runs show of themselves: a note that says what came of the run, and a conf of what was set.

Listeners of Airflow, called by its scheduler, and by its API server where a user sets the state of a run. They change
the run that they are given, which their caller commits, and only runs of the pipeline.
"""

from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

from components.formatting import percent
from components.public_text import public
from pipeline import config
from pipeline.airflow.params_form import FORCE
from pipeline.airflow.run_names import record_of
from pipeline.airflow.wording import FOR_GOOD, in_airflow
from pipeline.run_record import RunRecord

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

LONGEST = 1000  # characters of a note
BACKFILLED = "a backfilled run leaves the champion as it is"


@hookimpl
def on_dag_run_running(dag_run: "DagRun", msg: str) -> None:
    """Remove from the conf the fields that were left empty: the form sends all of them."""
    conf = dag_run.conf or {}
    if conf.keys() & {*config.SETTINGS, FORCE} and None in conf.values():
        dag_run.conf = {name: value for name, value in conf.items() if value is not None}


@hookimpl
def on_dag_run_success(dag_run: "DagRun", msg: str) -> None:
    _note(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: "DagRun", msg: str) -> None:
    _note(dag_run)


def _note(dag_run: "DagRun") -> None:
    """Write the note; one that a person wrote stays."""
    by_person = dag_run.dag_run_note and dag_run.dag_run_note.user_id
    if not by_person and (record := record_of(dag_run)) and (text := outcome(record)):
        backfilled = f"; {BACKFILLED}" * (dag_run.run_type == "backfill" and not record.error)
        dag_run.note = f"{text}{backfilled}"[:LONGEST]


def outcome(record: RunRecord) -> str:
    """What came of the run: "version 12 promoted, 99.52 % (champion 99.48 %)", or why it ended."""
    if record.error:
        return str(public(in_airflow(record.error, FOR_GOOD)))
    promotion, version = record.promotion, f"version {record.model.get('version')}"
    accuracy = percent(record.accuracy) if record.accuracy is not None else ""
    before = promotion.get("champion_accuracy")
    figures = f"{accuracy} (champion {percent(before)})" if before is not None else accuracy
    match promotion.get("outcome"):
        case "promoted":
            return f"{version} promoted, {figures}"
        case "unchanged":
            return f"{version} is champion already, {figures}"
        case "left to a user" as kept:
            return f"{version} {kept}, {figures}"
        case "undecided" | "waiting" | "held" as kept:
            return f"{version} {kept}, {figures}: {promotion['reason']}"
    return ""
