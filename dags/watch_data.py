"""Look for new images in the source, and tell of them by an event of their asset."""

from airflow.sdk import dag

from pipeline.scheduling import form, line, notify, texts
from pipeline.scheduling.assets import IMAGES
from pipeline.scheduling.times import at
from pipeline.scheduling.watch import Watch, changes

settings, problem = form.usual()
schedule = form.schedule(settings)


@dag(
    schedule=at("schedule.watch", schedule.watch) if changes(settings["ingest.source"]) else None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["pipeline", "data"],
    description=__doc__,
    doc_md=texts.page(texts.WATCH, problem),
)
def watch_data() -> None:
    Watch(
        stage="ingest",
        **line.usual("look", schedule),
        doc_md=texts.WATCH,
        inlets=[IMAGES],
        outlets=[IMAGES],
        on_failure_callback=notify.failed_anew,
    )


watch_data()
