"""Notify people of failures, recoveries, promotions, late runs, alarms and questions: a line of JSON for each.

They are in the log of the task, and go to

$PIPELINE_HOME/notifications.jsonl     up to 1 MB
pipeline/airflow/channels.py           webhook, e-mail, apprise, heartbeat

The key "text" is the whole notification in a sentence, with a line for each link.
"""

import json
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypedDict

from airflow.sdk import Context

from components.formatting import percent
from components.public_text import public
from components.system.files import write_atomically
from pipeline.airflow import channels
from pipeline.airflow.links import model_url, report_url, run_url
from pipeline.airflow.project import home_of
from pipeline.airflow.run_names import record_of
from pipeline.airflow.task_log import Failed
from pipeline.home import Home
from pipeline.run_record import Model, RunRecord, now

ENDS = ("failed", "promoted", "recovered")
LARGEST = 2**20  # bytes of the file
RECENT = 2**16  # bytes at the end of the file that are searched for the same notification
KILLED = "the task was killed or marked failed; clear it, and it resumes from what it finished"
log = logging.getLogger(__name__)

# "try" is a keyword, so this type cannot be written as a class.
Notification = TypedDict(
    "Notification",
    {
        "time": str, "event": str, "text": str, "dag": str, "run": str, "task": str, "try": int, "error": str,
        "reason": str, "source": str, "accuracy": float | None, "model": Model, "report": str,
        "mlflow_run": str, "model_version": str,
    },
    total=False,
)  # fmt: skip


class Run(NamedTuple):
    """A run of a DAG by its names."""

    dag_id: str
    run_id: str


def failed(context: Context) -> None:
    """Airflow's callback for a task that failed for good."""
    notify(_failure(context, _problem(context) or "see its log"), context)


def run_failed(context: Context) -> None:
    """Airflow's callback for a run that failed: reports a task whose process was killed before it could itself."""
    failure = _failure(context, KILLED)
    if not any(_is_same(earlier, failure) for earlier in _recent()):
        notify(failure, context)


def failed_repeatedly(context: Context) -> None:
    """As `failed`, for a task that runs every few minutes: the same error is reported once an hour."""
    error = public(_problem(context))
    if error not in _errors_of_last_hour(context["ti"].dag_id):
        failed(context)


def succeeded(context: Context) -> None:
    """Airflow's callback for `promote`: reports a new champion, and the first success after a failure."""
    channels.heartbeat()
    done = context["ti"].xcom_pull(task_ids=context["ti"].task_id)
    if not done:
        return
    recovered = _last(context["ti"].dag_id).get("event") == "failed"
    if done["made"]:
        promoted = _notification("promoted", context) | {"reason": done["headline"]}
        before = done.get("promotion", {}).get("champion_accuracy")
        text = "after a failure: " * recovered + _promotion_text(promoted, before)
        notify(promoted | {"text": text}, context)
    elif recovered:
        again = _notification("recovered", context) | {"reason": done["headline"]}
        text = f"{again['dag']} succeeds again: {done['headline']}{_see(again)}"
        notify(again | {"text": text}, context)


def waiting(context: Context, reason: str, address: str) -> None:
    """Report that a person has to decide, and at which *address*."""
    see = f"; {address}" if address else ""
    notify(_notification("waiting", context) | {"reason": reason, "text": f"{reason}{see}"}, context)


def late(dag: str, run: str, hours: float) -> None:
    """Report a run that has not ended so many *hours* after it was due; by Airflow's triggerer, outside any task."""
    record = record_of(Run(dag, run))
    reason = f"{run} has not ended {hours:g} hours after it was due (schedule.late_hours)"
    came: Notification = {"time": now(), "event": "late", "dag": dag, "run": run, "reason": reason}
    came |= _facts(record) if record else {}
    notify(came | {"text": f"{dag}: {reason}{_see(came)}"}, Context(), home_of(dag))


def alarm(problems: Iterable[str], context: Context) -> None:
    """Report what nobody else notices, as that nothing has succeeded for long."""
    for problem in problems:
        raised = _notification("alarm", context) | {"reason": problem}
        notify(raised | {"text": f"{raised['dag']}: {problem}"}, context)


def _last(dag: str) -> Notification:
    """The last notification of how a run of the *dag* ended."""
    ends = [notification for notification in _recent() if notification.get("dag") == dag]
    return next((end for end in reversed(ends) if end.get("event") in ENDS), Notification())


def notify(notification: Notification, context: Context, home: Home | None = None) -> None:
    """Log, keep and deliver the notification; it is kept in *home*, by default in that of the environment."""
    message = public(notification)
    log.info("%s", json.dumps(message))
    try:
        _keep(json.dumps(message), _file(home))
    except OSError as error:  # a full disk must not keep the channels from telling of it
        log.warning("the notification could not be kept: %s", error)
    channels.deliver(message, context)


def _keep(line: str, file: Path) -> None:
    """Append *line*; a file that has become large keeps its second half."""
    if file.exists() and file.stat().st_size > LARGEST:
        write_atomically(file, _end(file, LARGEST // 2).partition(b"\n")[2])
    with file.open("a") as appended:
        appended.write(line + "\n")


def _file(home: Home | None = None) -> Path:
    return (home or Home.from_environment()).root / "notifications.jsonl"


def _recent() -> list[Notification]:
    """The last notifications of the file; lines that are damaged or cut are left out."""
    try:
        lines = _end(_file(), RECENT).splitlines()
    except OSError:
        return []
    return [notification for line in lines if (notification := _parsed(line))]


def _end(file: Path, count: int) -> bytes:
    """The last bytes of *file*."""
    with file.open("rb") as opened:
        opened.seek(max(0, opened.seek(0, os.SEEK_END) - count))
        return opened.read()


def _parsed(line: bytes) -> Notification | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None  # type: ignore[return-value] # all keys are optional


def _is_same(one: Notification, other: Notification) -> bool:
    return all(one.get(name) == other.get(name) for name in ("event", "dag", "run", "task", "try"))


def _errors_of_last_hour(dag: str) -> set[str]:
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
    return {n.get("error", "") for n in _recent() if n.get("dag") == dag and n.get("time", "") > since}


def _problem(context: Context) -> str:
    """What the exception of the task says, without the report, which is of one run."""
    exception = context.get("exception")
    return exception.problem if isinstance(exception, Failed) else str(exception or "")


def _failure(context: Context, error: str) -> Notification:
    failure = _notification("failed", context) | {"error": error}
    return failure | {"text": f"{failure['task']} of {failure['dag']} failed: {error}{_see(failure)}"}


def _promotion_text(promoted: Notification, before: float | None) -> str:
    model, accuracy = promoted.get("model", {}), promoted.get("accuracy")
    scored = f" with an accuracy of {percent(accuracy)}" if accuracy is not None else ""
    than = f" (champion before: {percent(before)})" if before is not None else ""
    return f"{model.get('name')} version {model.get('version')} is champion{scored}{than}{_see(promoted)}"


def _see(notification: Notification) -> str:
    """Where to look: a line for the report, the MLflow run and the version, as far as there are any."""
    return "".join(f"\n{name}: {url}" for name, url in channels.links(notification).items())


def _notification(event: str, context: Context) -> Notification:
    ti, record = context["ti"], record_of(context["ti"])
    origin: Notification = {"dag": ti.dag_id, "run": ti.run_id, "task": ti.task_id, "try": ti.try_number}
    return {"time": now(), "event": event} | origin | (_facts(record) if record else {})


def _facts(record: RunRecord) -> Notification:
    return {
        "source": record.source,
        "accuracy": record.accuracy,
        "model": record.model,
        "report": report_url(record),
        "mlflow_run": run_url(record),
        "model_version": model_url(record),
    }
