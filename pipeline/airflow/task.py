"""A stage of the pipeline as an Airflow task."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict, cast

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.log import mask_secret

from components.errors import Failure, PipelineError, Unavailable
from components.public_text import passwords, public
from components.registry.approval import Answer
from pipeline.airflow import pinned_settings, task_log
from pipeline.airflow.external_python import Child
from pipeline.airflow.links import LINKS, mlflow_run_linked, report_url
from pipeline.airflow.params_form import FORCE, overrides, read_settings, schedule
from pipeline.airflow.project import Project
from pipeline.airflow.run_names import record_of, run_name
from pipeline.airflow.task_log import Refused, TryAgain
from pipeline.airflow.wording import FOR_GOOD, RETRIED, problem
from pipeline.home import Home
from pipeline.run_record import Model, Promotion

ENDED = "the task was ended from outside; its next try resumes after the last finished epoch"


class StageResult(TypedDict):
    """What the task of a stage pushes (its return value in XCom)."""

    stage: str
    key: str
    digest: str
    made: bool
    seconds: float
    headline: str
    metrics: dict[str, float]
    run: str
    source: str
    settled: dict[str, int | str]  # what the machine decided, by setting
    accuracy: float | None
    model: Model
    promotion: Promotion


class StageTask(BaseOperator):
    """Runs one stage, in this process or in a child of the interpreter schedule.python, and pushes its result.

    A permanent failure (PipelineError) fails the task at once; anything else is left to the task's retries.
    """

    operator_extra_links = LINKS
    ui_color = "#e8f0fe"

    def __init__(self, *, stage: str, project: Project | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.stage = stage
        self.project = project or Project()
        self._child: Child | None = None
        self._in_this_process = False

    def execute(self, context: Context) -> StageResult:
        result = self.performed(context)
        return cast("StageResult", public({name: result[name] for name in StageResult.__annotations__}))

    def performed(self, context: Context) -> Mapping[str, Any]:
        """Run the stage with the settings of the DAG run; its answer."""
        dag_id, run_id = context["ti"].dag_id, context["ti"].run_id
        for password in passwords(os.environ.values()):
            mask_secret(password)  # in all that Airflow logs and shows, the tracebacks of libraries included
        with (
            task_log.of_pipeline(),
            failures(context),
            self.project.of_task(dag_id),
            _time_limit(self),
            mlflow_run_linked(context["ti"]),
        ):
            chosen = overrides(context["params"])
            settings = [*chosen, *pinned_settings.of_run(context, self.stage), *_of_backfill(context)]
            result = self.perform(settings, run_name(dag_id, run_id), **self.how(context))
            if self.stage == "ingest":
                pinned_settings.pin(context, result["settings"], chosen)
        return result

    def how(self, context: Context) -> dict[str, Any]:
        """What `perform` takes beside the settings and the run."""
        return {"force": context["params"].get(FORCE) == self.stage}

    def perform(
        self, settings: Sequence[str], run: str, *, force: bool = False, ask: bool = False, answer: Answer | None = None
    ) -> Mapping[str, Any]:
        """Run the stage, with *force* even where its result exists. Raises Failure, or whatever a bug raises.

        The stage promote may *ask* for a decision instead, or carry out the *answer*.
        """
        if python := schedule(read_settings()[0]).python:
            self._child = Child(python)
            return self._child.stage(self.stage, settings, run, force=force, ask=ask, answer=answer)
        self._in_this_process = True
        try:
            return _run_here(self.stage, settings, run, force, ask, answer)
        finally:
            self._in_this_process = False

    def on_kill(self) -> None:
        """End the stage; Airflow calls this in the task's main thread, from its handler of SIGTERM."""
        if self._child:
            self._child.end()
        if self._in_this_process:
            raise KeyboardInterrupt


@contextlib.contextmanager
def failures(context: Context) -> Iterator[None]:
    """Translate a Failure into the exception by which Airflow fails at once or retries. A bug keeps its name."""
    try:
        yield
    except Failure as error:
        kind = Refused if isinstance(error, PipelineError) else TryAgain
        raise kind(problem(error, context["params"], _again(context)), _report(context)) from None
    except KeyboardInterrupt:
        raise TryAgain(ENDED) from None


def _of_backfill(context: Context) -> list[str]:
    """A backfilled run registers its model, and leaves the champion: it was not asked for one."""
    return ["promote.automatic=false"] if context["dag_run"].run_type == "backfill" else []


def _again(context: Context) -> str:
    """How what has failed is repeated: a retry follows, or this was the last try."""
    return RETRIED if context["ti"].try_number <= context["ti"].max_tries else FOR_GOOD


def _report(context: Context) -> str:
    """The URL of the run's report, "" where it has none."""
    record = record_of(context["ti"])
    return report_url(record) if record else ""


@contextlib.contextmanager
def _time_limit(task: StageTask) -> Iterator[None]:
    """Name the setting that ended the task, and say where its next try begins."""
    try:
        yield
    except AirflowTaskTimeout:
        name = "schedule.train_hours" if task.stage == "train" else "schedule.task_hours"
        assert task.execution_timeout
        hours = task.execution_timeout.total_seconds() / 3600
        raise Unavailable(
            f"{task.stage} was ended after {hours:g} hours ({name}); the next try resumes from what it finished. "
            f"If it needs longer, raise {name} in the settings file"
        ) from None


def _run_here(
    stage: str, settings: Sequence[str], run: str, force: bool, ask: bool, answer: Answer | None
) -> Mapping[str, Any]:
    from pipeline import doctor, execute, run_settings

    if stage == "ingest":
        doctor.warn(Home.from_environment(), registry=False)  # a stage that needs the registry says so, and waits
    params, home = run_settings.load(settings), Home.from_environment()
    if ask:
        return execute.ask(params, home, run)
    return execute.run_stage(params, home, stage, run, force=force, answer=answer)
