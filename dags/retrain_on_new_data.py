"""Retrain when `watch_data` has reported new images in the source."""

from airflow.sdk import dag

from pipeline.airflow import dag_docs, notifications, params_form
from pipeline.airflow.assets import IMAGES
from pipeline.airflow.dag import add_stages

settings, problem = params_form.read_settings()


@dag(
    schedule=[IMAGES],
    max_active_runs=1,
    is_paused_upon_creation=False,
    on_failure_callback=notifications.run_failed,
    params=params_form.form(settings),
    tags=["pipeline", "training"],
    description=__doc__,
    doc_md=dag_docs.page(dag_docs.ON_NEW_DATA, problem),
)
def retrain_on_new_data() -> None:
    add_stages(params_form.schedule(settings))


retrain_on_new_data()
