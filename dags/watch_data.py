"""Look for new images in the source, and report them by an event of their asset."""

from airflow.sdk import dag

from components.ingest.select import can_change
from pipeline.airflow import dag_docs, notifications, params_form
from pipeline.airflow.assets import IMAGES
from pipeline.airflow.dag import common_arguments
from pipeline.airflow.timetables import at
from pipeline.airflow.watch_images import Watch

settings, problem = params_form.read_settings()
schedule = params_form.schedule(settings)


@dag(
    schedule=at("schedule.watch", schedule.watch) if can_change(settings["ingest.source"]) else None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["pipeline", "data"],
    description=__doc__,
    doc_md=dag_docs.page(dag_docs.WATCH, problem),
)
def watch_data() -> None:
    Watch(
        stage="ingest",
        **common_arguments("look", schedule),
        doc_md=dag_docs.WATCH,
        inlets=[IMAGES],
        outlets=[IMAGES],
        on_failure_callback=notifications.failed_repeatedly,
    )


watch_data()
