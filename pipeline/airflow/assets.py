"""The DAGs' outputs as Airflow assets: the images of a project and the champion of a registered model.

Their events carry the digest of the images; the version, digest, accuracy and report of the champion.
"""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset, AssetAlias, AssetWatcher, Context

from components.ingest.select import can_change
from components.settings.sections import Schedule
from pipeline.airflow import approval
from pipeline.airflow.image_trigger import ImagesTrigger
from pipeline.airflow.links import report_url
from pipeline.airflow.project import Project
from pipeline.airflow.run_names import record_of
from pipeline.airflow.task import StageResult, StageTask
from pipeline.run_record import Model

# For a model whose name is known at run time only: the form may name another source, and "auto" is settled then.
CHAMPIONS = AssetAlias("champions", group="model")


def images(project: Project) -> Asset:
    """The images of the source in the project's settings, whichever it is."""
    name = project.name
    watchers = [AssetWatcher("new images", trigger)] if (trigger := _trigger(project)) else []
    return Asset(
        f"images of {name or 'the source'}", uri=f"images://{name or 'source'}", group="images", watchers=watchers
    )


def _trigger(project: Project) -> ImagesTrigger | None:
    """What Airflow's triggerer runs to watch the images; None where it does not."""
    schedule, is_watched = project.schedule, can_change(project.settings["ingest.source"])
    return ImagesTrigger(project.file, schedule.watch_seconds) if is_watched and _is_triggerers(schedule) else None


def _is_triggerers(schedule: Schedule) -> bool:
    return bool(schedule.watch and schedule.watch_seconds)


def champion(name: str) -> Asset:
    return Asset(f"champion of {name}", uri=f"models://{name}/champion", group="model")


def champions(project: Project) -> list[Asset | AssetAlias]:
    """What the task `promote` may make: the champion of the project's model, or of another one."""
    name = project.registered_model
    return [*([champion(name)] if name else []), CHAMPIONS]


class Promote(StageTask):
    """The task `promote`, which carries out what a person decided, and reports a new champion by an event."""

    def how(self, context: Context) -> dict[str, Any]:
        return {"answer": approval.answer_of(context)}

    def execute(self, context: Context) -> StageResult:
        done = super().execute(context)
        if done["promotion"]["outcome"] == "waiting":
            raise approval.undecided(done["promotion"]["reason"])
        about = {"digest": done["digest"], "accuracy": done["accuracy"]}
        report_champion(context, done["model"] if done["made"] else None, about)
        return done


def report_champion(context: Context, made: Model | None, about: Mapping[str, Any]) -> None:
    """Emit an event *about* the version *made* champion, with the report of the run; none where there is no such."""
    outlets, reported = context["ti"].task.outlets, list[Asset | AssetAlias]()
    if made:
        record = record_of(context["ti"])
        report = report_url(record) if record else ""
        new, extra = champion(made["name"]), {"version": made["version"], **about, "report": report}
        if new in outlets:
            context["outlet_events"][new].extra = extra
        else:
            context["outlet_events"][CHAMPIONS].add(new, extra=extra)
        reported = [new, CHAMPIONS]
    # Airflow reports an event of each asset that is still among them when the task has succeeded
    outlets[:] = [outlet for outlet in outlets if outlet in reported]
