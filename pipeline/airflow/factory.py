"""The DAGs of a model, made from its settings file. In Airflow's folder of DAGs a file of two lines makes them:

    from pipeline.airflow import retraining  # makes DAGs: Airflow reads only files with this word
    retraining("receipts.toml")  # beside this file

These are receipts_retrain, receipts_watch_data, ...:

    retrain            the eight stages, on a schedule, on new images, or by hand
    watch_data         looks for new images, where Airflow's triggerer does not
    housekeeping       deletes what nothing needs any more
    reproduce_champion makes the champion again, where schedule.reproduce says when
    rollback           restores a former champion
    promote_version    makes a version champion

The functions at the end make them.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from airflow.sdk import DAG, AssetOrTimeSchedule, get_parsing_context
from airflow.sdk.definitions.param import ParamsDict

from components.errors import ConfigError
from components.ingest.select import can_change
from components.system.files import expanded
from pipeline import config
from pipeline.airflow import assets, dag_docs, lateness, notifications, params_form
from pipeline.airflow.cleaning import CleanMetadata, CleanWorkspace
from pipeline.airflow.dag import add_stages, common_arguments, make_dag
from pipeline.airflow.project import Project
from pipeline.airflow.registry_dags import promote_version, rollback
from pipeline.airflow.reproduction import Reproduce
from pipeline.airflow.timetables import at
from pipeline.airflow.watch_images import Watch

DEFAULT_FILE = "settings"  # its DAGs are called retrain, watch_data, ..., whatever else is beside it


def retraining(settings: str = "", name: str | None = None) -> list[DAG]:
    """Make the DAGs of the file *settings*, or of the one that $PIPELINE_CONFIG names.

    A relative path is looked for beside the DAG file first. The ids of the DAGs begin with `schedule.name`, else with
    *name*, else with the name of the file. Raises ConfigError for a file that is wrong; without *settings*, a wrong
    setting fails the first task of each run instead.
    """
    project = named(settings, Path(sys._getframe(1).f_code.co_filename).parent, name) if settings else default()
    return [dag for make in DAGS if (dag := make(project))]


def default() -> Project:
    """The project of this environment."""
    values, problem = params_form.read_settings()
    return Project("", values["schedule.name"], values, problem)


def named(settings: str, folder: Path, name: str | None = None) -> Project:
    """The project of the file *settings*, which may be in *folder*; raises ConfigError with all that is wrong.

    A task of a run under way does not mind: it has the settings with which the run began.
    """
    beside = folder / expanded(settings)
    file = beside if beside.is_file() else config.located(settings).absolute()
    values, problem = params_form.read_settings(str(file))
    if problem and not get_parsing_context().dag_id:
        raise ConfigError(*problem.splitlines())
    usual = ("" if file.stem == DEFAULT_FILE else file.stem) if name is None else name
    return Project(str(file), _dag_name(values["schedule.name"] or usual, file), values, problem)


def _dag_name(name: str, file: Path) -> str:
    spelling = config.SETTINGS["schedule.name"].metadata["spelling"]
    try:
        return str(spelling(name))
    except ValueError as error:
        raise ConfigError(
            f"the ids of the DAGs of {file} cannot begin with {name!r}; {error}; set schedule.name in the file"
        ) from None


def retrain(project: Project) -> DAG:
    """Eight tasks in a line, one for each stage of the pipeline: on a schedule, on new images, or with the form."""
    schedule, images = project.schedule, [assets.images(project)]
    timetable = at("schedule.cron", schedule.cron, schedule.timezone)
    dag = make_dag(
        project,
        "retrain",
        schedule=AssetOrTimeSchedule(timetable=timetable, assets=images) if timetable else images,
        deadline=lateness.deadline(project),
        on_failure_callback=project.within(notifications.run_failed),
        tags=[*project.tags, "training"],
        description=schedule.description or retrain.__doc__,
        doc_md=dag_docs.page(dag_docs.RETRAIN, project.problem),
    )
    with dag:
        add_stages(project)
    dag.params = ParamsDict(params_form.form(project.settings))  # earlier Airflow would copy them into each task
    return dag


def watch_data(project: Project) -> DAG | None:
    """Look for new images in the source, and report them by an event of their asset."""
    schedule, images = project.schedule, assets.images(project)
    if images.watchers:
        return None
    watched = can_change(project.settings["ingest.source"])
    dag = make_dag(
        project,
        "watch_data",
        schedule=at("schedule.watch", schedule.watch, schedule.timezone) if watched else None,
        tags=[*project.tags, "data"],
        description=watch_data.__doc__,
        doc_md=dag_docs.page(dag_docs.WATCH, project.problem),
    )
    with dag:
        Watch(
            images=images,
            **common_arguments("look", project),
            doc_md=dag_docs.WATCH,
            on_failure_callback=project.within(notifications.failed_repeatedly),
        )
    return dag


def _maintenance(project: Project, maker: Callable[[Project], DAG | None], setting: str, doc: str) -> DAG:
    """An empty DAG with the name and the description of *maker*, on the schedule of its *setting*."""
    return make_dag(
        project,
        maker.__name__,
        schedule=at(f"schedule.{setting}", getattr(project.schedule, setting), project.schedule.timezone),
        tags=[*project.tags, "maintenance"],
        description=maker.__doc__,
        doc_md=dag_docs.page(doc, project.problem),
    )


def housekeeping(project: Project) -> DAG:
    """Delete what nothing needs any more, and say for how many weeks the disk lasts."""
    dag = _maintenance(project, housekeeping, "housekeeping", dag_docs.HOUSEKEEPING)
    with dag:
        failed = project.within(notifications.failed)
        for task, name in ((CleanWorkspace, "workspace"), (CleanMetadata, "metadata")):
            task(**common_arguments(name, project), doc_md=task.__doc__, on_failure_callback=failed)
    return dag


def reproduce_champion(project: Project) -> DAG | None:
    """Make the champion again from what was recorded of it, and report whether it is the same."""
    if not project.schedule.reproduce:
        return None
    dag = _maintenance(project, reproduce_champion, "reproduce", dag_docs.REPRODUCE)
    with dag:
        arguments = common_arguments("train", project) | {"task_id": "reproduce"}  # as long, and in the same place
        failed = project.within(notifications.failed)
        Reproduce(**arguments, doc_md=dag_docs.REPRODUCE, on_failure_callback=failed)
    return dag


# of each project
DAGS: tuple[Callable[[Project], DAG | None], ...] = (
    *(retrain, watch_data, housekeeping, reproduce_champion),
    *(rollback, promote_version),
)
