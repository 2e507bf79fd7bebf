"""Retrain when `watch_data` has seen new images in the source."""

from airflow.sdk import dag

from pipeline.scheduling import form, line, notify, texts
from pipeline.scheduling.assets import IMAGES

settings, problem = form.usual()


@dag(
    schedule=[IMAGES],
    max_active_runs=1,
    is_paused_upon_creation=False,
    on_failure_callback=notify.run_failed,
    params=form.form(settings),
    tags=["pipeline", "training"],
    description=__doc__,
    doc_md=texts.page(texts.ON_NEW_DATA, problem),
)
def retrain_on_new_data() -> None:
    line.stages(form.schedule(settings))


retrain_on_new_data()
