"""A stage of the pipeline as an Airflow task."""

import contextlib
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout

from components.errors import Failure, PipelineError, Unavailable
from components.settings.sections import Params
from pipeline.airflow.external_python import Child
from pipeline.airflow.links import LINKS
from pipeline.airflow.params_form import overrides, schedule, settings_file, usual
from pipeline.home import Home

KEPT = ("stage", "key", "digest", "made", "seconds", "headline", "metrics", "run", "source", "accuracy", "model")
log = logging.getLogger(__name__)
ENDED = "the task was ended from outside; its next try goes on from the last finished epoch"


class StageTask(BaseOperator):
    """Does one stage, in this process or in a child of the interpreter schedule.python, and pushes what became of it.

    Fails at once with what a retry cannot cure (PipelineError); anything else is left to the task's retries.
    """

    operator_extra_links = LINKS
    ui_color = "#e8f0fe"

    def __init__(self, *, stage: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.stage = stage
        self._child: Child | None = None
        self._here = False

    def execute(self, context: Context) -> dict[str, Any]:
        run = run_name(context["ti"].dag_id, context["ti"].run_id)
        with failures(), _in_time(self):
            answer = self.perform([*overrides(context["params"]), *_settled(context, self.stage)], run)
        return {name: answer[name] for name in KEPT}

    def perform(self, settings: Sequence[str], run: str) -> dict[str, Any]:
        """Do the stage; what it says goes to the task's log. Raises Failure, or what a bug raises."""
        with contextlib.redirect_stderr(sys.stdout):  # Airflow shows what comes by standard error as errors
            if python := schedule(usual()[0]).python:
                self._child = Child(python)
                return self._child.stage(self.stage, settings, run)
            self._here = True
            try:
                return _in_process(self.stage, settings, run)
            finally:
                self._here = False

    def on_kill(self) -> None:
        """End the stage; Airflow calls this in the task's main thread, from its handler of SIGTERM."""
        if self._child:
            self._child.end()
        if self._here:
            raise KeyboardInterrupt


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Say in Airflow's words what a retry cannot cure, and what it may. A bug keeps its name, and is retried.

    The sentence gets a line of its own in the log: Airflow's own is followed by a traceback.
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
def _in_time(task: StageTask) -> Iterator[None]:
    """Say which setting ended the task, and what its next try begins with."""
    try:
        yield
    except AirflowTaskTimeout:
        name = "schedule.train_hours" if task.stage == "train" else "schedule.task_hours"
        assert task.execution_timeout
        hours = task.execution_timeout.total_seconds() / 3600
        raise Unavailable(
            f"{task.stage} was ended after {hours:g} hours ({name}); what it finished is kept, and its next try goes "
            f"on from there. Where it needs longer, raise {name} in the settings file"
        ) from None


def load(overrides: Sequence[str]) -> Params:
    """The settings of a run, by the code of the command line."""
    from pipeline.cli import commands

    return commands.settings_of_run(settings_file(), overrides)


def _in_process(stage: str, settings: Sequence[str], run: str) -> dict[str, Any]:
    from pipeline import execute

    return execute.run_stage(load(settings), Home.from_environment(), stage, run)


def _settled(context: Context, stage: str) -> list[str]:
    """The source that the run's first task settled on: "auto" must mean one thing for a whole run."""
    if stage == "ingest":
        return []
    first = context["ti"].xcom_pull(task_ids="ingest")
    return [f"ingest.source={first['source']}"] if first else []


def run_name(dag: str, run: str) -> str:
    """The pipeline's name for the DAG run *run*, the same in each of its tasks and tries: a folder's name."""
    return f"{dag}-{re.sub(r'[^A-Za-z0-9._-]+', '-', run)}"
