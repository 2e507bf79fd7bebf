"""Retrain on a schedule, or manually with the form: eight tasks in a line, one for each stage of the pipeline."""

from airflow.sdk import dag

from pipeline.airflow import dag_docs, notifications, params_form
from pipeline.airflow.dag import add_stages
from pipeline.airflow.timetables import at

settings, problem = params_form.read_settings()
schedule = params_form.schedule(settings)


@dag(
    schedule=at("schedule.cron", schedule.cron),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    on_failure_callback=notifications.run_failed,
    params=params_form.form(settings),
    tags=["pipeline", "training"],
    description=__doc__,
    doc_md=dag_docs.page(dag_docs.RETRAIN, problem),
)
def retrain() -> None:
    add_stages(schedule)


retrain()
