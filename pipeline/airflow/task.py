"""A stage of the pipeline as an Airflow task."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict, cast

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout
from airflow.sdk.log import mask_secret

from components.errors import Failure, PipelineError, Unavailable
from components.ingest import select
from components.public_text import passwords, public
from pipeline.airflow.external_python import Child
from pipeline.airflow.links import LINKS
from pipeline.airflow.params_form import overrides, read_settings, schedule
from pipeline.airflow.run_names import run_name
from pipeline.graph import ancestors
from pipeline.home import Home
from pipeline.run_record import Model, Promotion

log = logging.getLogger(__name__)
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

    def __init__(self, *, stage: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.stage = stage
        self._child: Child | None = None
        self._in_this_process = False

    def execute(self, context: Context) -> StageResult:
        run = run_name(context["ti"].dag_id, context["ti"].run_id)
        for password in passwords(os.environ.values()):
            mask_secret(password)  # in all that Airflow logs and shows, the tracebacks of libraries included
        with failures(), _time_limit(self):
            result = self.perform([*overrides(context["params"]), *_settled(context, self.stage)], run)
        return cast("StageResult", public({name: result[name] for name in StageResult.__annotations__}))

    def perform(self, settings: Sequence[str], run: str) -> Mapping[str, object]:
        """Run the stage; its output goes to the task's log. Raises Failure, or whatever a bug raises."""
        with contextlib.redirect_stderr(sys.stdout):  # Airflow shows standard error as errors
            if python := schedule(read_settings()[0]).python:
                self._child = Child(python)
                return self._child.stage(self.stage, settings, run)
            self._in_this_process = True
            try:
                return _run_here(self.stage, settings, run)
            finally:
                self._in_this_process = False

    def on_kill(self) -> None:
        """End the stage; Airflow calls this in the task's main thread, from its handler of SIGTERM."""
        if self._child:
            self._child.end()
        if self._in_this_process:
            raise KeyboardInterrupt


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Translate a Failure into the exception by which Airflow fails at once or retries. A bug keeps its name.

    The message gets a line of its own in the log: Airflow's own is followed by a traceback.
    """
    try:
        yield
    except Failure as error:
        log.error("%s", error)
        kind = AirflowFailException if isinstance(error, PipelineError) else AirflowException
        raise kind(str(error)) from None
    except KeyboardInterrupt:
        raise AirflowException(ENDED) from None


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


def _run_here(stage: str, settings: Sequence[str], run: str) -> Mapping[str, object]:
    from pipeline import execute, run_settings

    return execute.run_stage(run_settings.load(settings), Home.from_environment(), stage, run)


def _settled(context: Context, stage: str) -> list[str]:
    """What earlier tasks of the run settled: "auto" must mean one thing for a whole run, also on several machines.

    The first task settles the source, a name; a folder is left to the settings, where it stands in all its bytes. The
    task train settles its threads and its precision, by the machine that trains.
    """
    pull, before = context["ti"].xcom_pull, ancestors(stage)
    ingested = pull(task_ids="ingest") if "ingest" in before else None
    trained = pull(task_ids="train") if "train" in before else None
    settled = dict(trained.get("settled", {})) if trained else {}
    if ingested and select.is_name(ingested["source"]):
        settled["ingest.source"] = ingested["source"]
    return [f"{name}={value}" for name, value in settled.items()]
