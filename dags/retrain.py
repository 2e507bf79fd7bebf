"""Retrain on a schedule, or by hand with the form: eight tasks in a line, one for each stage of the pipeline."""

from airflow.sdk import dag

from pipeline.scheduling import form, line, notify, texts
from pipeline.scheduling.times import at

settings, problem = form.usual()
schedule = form.schedule(settings)


@dag(
    schedule=at("schedule.cron", schedule.cron),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    on_failure_callback=notify.run_failed,
    params=form.form(settings),
    tags=["pipeline", "training"],
    description=__doc__,
    doc_md=texts.page(texts.RETRAIN, problem),
)
def retrain() -> None:
    line.stages(schedule)


retrain()
