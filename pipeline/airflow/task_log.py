"""The log of a task: warnings as warnings, advice as what to click, and a failure as its sentence alone.

Airflow's task runner logs the exception of a failed task with its traceback, which says something of a bug, and nothing
of a model below the gate.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from components.progress import said_to
from pipeline.airflow.wording import in_airflow

WARNING = "warning: "
log = logging.getLogger(__name__)

Event = MutableMapping[str, Any]


class Failed(AirflowException):
    """Why a task has failed, followed by the URL of the run's report, which Airflow's log makes a link."""

    def __init__(self, problem: str, report: str = "") -> None:
        self.problem = problem
        super().__init__(f"{problem}; report: {report}" if report else problem)


class Refused(Failed, AirflowFailException):
    """The task would fail again: no retry."""


class TryAgain(Failed):
    """The next try may succeed."""


@contextlib.contextmanager
def of_pipeline() -> Iterator[None]:
    """Log what the pipeline says and prints in the block."""
    _shorten_failures()
    with contextlib.redirect_stderr(sys.stdout), said_to(_log):  # Airflow shows standard error as errors
        yield


def _log(text: str) -> None:
    message = in_airflow(text)
    if message.lstrip().startswith(WARNING):
        log.warning("%s", message.lstrip().removeprefix(WARNING))
    else:
        log.info("%s", message)


def _shorten_failures() -> None:
    """Have this process, which runs one task, log a failure as its sentence.

    Its loggers share the list of processors, and were made with it before the task began.
    """
    processors = structlog.get_config()["processors"]
    if isinstance(processors, list) and _without_traceback not in processors:
        processors.insert(0, _without_traceback)


def _without_traceback(logger: object, method: str, event: Event) -> Event:
    """structlog's processor: the exception's sentence instead of "Task failed with exception" and its frames."""
    exception = sys.exc_info()[1]
    if event.get("exc_info") is True and isinstance(exception, Failed):
        event["event"] = str(exception)
        del event["exc_info"]
    return event
