"""Retrain on a schedule, or by hand with the form: eight tasks in a line, one for each stage of the pipeline."""

from datetime import UTC, datetime

from airflow.sdk import dag

from pipeline.scheduling import line
from pipeline.scheduling.form import form, settings
from pipeline.scheduling.texts import retrain_doc

params, problem = settings()


@dag(
    schedule=params.schedule.cron or None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    params=form(params),
    tags=["pipeline", "training"],
    description=__doc__,
    doc_md=retrain_doc(problem),
)
def retrain() -> None:
    line.stages(params)


retrain()
