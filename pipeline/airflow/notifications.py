"""Notify people: one line of JSON per failure, promotion and request for a decision: in a log, a file, to a webhook.

$PIPELINE_HOME/notifications.jsonl     every notification so far
$NOTIFY_WEBHOOK_URL                    where set, each one is posted there; a webhook that fails does not fail the run

The key "text" is the whole notification in a sentence, which is what Slack and Mattermost show.
"""

import json
import logging
import os
import time
import urllib.request
from http.client import HTTPException, InvalidURL
from pathlib import Path
from typing import TypedDict

from airflow.sdk import Context

from components.formatting import percent
from components.public_text import public
from pipeline.airflow.links import model_url, report_url, run_url
from pipeline.airflow.run_names import record_of
from pipeline.airflow.task_log import Failed
from pipeline.home import Home
from pipeline.run_record import Model, RunRecord, now

SECONDS = 5
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


def failed(context: Context) -> None:
    """Airflow's callback for a task that failed for good."""
    notify(_failure(context, _problem(context) or "see its log"))


def run_failed(context: Context) -> None:
    """Airflow's callback for a run that failed: reports a task whose process was killed before it could itself."""
    failure = _failure(context, KILLED)
    if not any(_is_same(earlier, failure) for earlier in _recent()):
        notify(failure)


def failed_repeatedly(context: Context) -> None:
    """As `failed`, for a task that runs every few minutes: the same error is reported once an hour."""
    error = public(_problem(context))
    if error not in _errors_of_last_hour(context["ti"].dag_id):
        failed(context)


def succeeded(context: Context) -> None:
    """Airflow's callback for `promote`: reports a new champion."""
    done = context["ti"].xcom_pull(task_ids=context["ti"].task_id)
    if done and done["made"]:
        promoted = _notification("promoted", context) | {"reason": done["headline"]}
        notify(promoted | {"text": _promotion_text(promoted)})


def waiting(context: Context, reason: str, address: str) -> None:
    """Report that a person has to decide, and at which *address*."""
    see = f"; {address}" if address else ""
    notify(_notification("waiting", context) | {"reason": reason, "text": f"{reason}{see}"})


def notify(notification: Notification) -> None:
    line = json.dumps(public(notification))
    log.info("%s", line)
    for deliver in (_keep, _post):  # a full disk must not keep the webhook from telling of it
        try:
            deliver(line)
        except (OSError, ValueError, HTTPException) as error:  # URLError is an OSError; ValueError: a malformed address
            log.warning("the notification could not be delivered: %s", _reason(error))


def _reason(error: Exception) -> str:
    """What happened, without the webhook's address: whoever knows it may post there."""
    return "NOTIFY_WEBHOOK_URL is malformed" if isinstance(error, InvalidURL) else public(str(error))


def _keep(line: str) -> None:
    with _file().open("a") as file:
        file.write(line + "\n")


def _post(line: str) -> None:
    url = os.environ.get("NOTIFY_WEBHOOK_URL", "")
    if not url:
        return
    if not url.startswith(("http://", "https://")):
        raise ValueError("NOTIFY_WEBHOOK_URL is no address; expected one that begins with http:// or https://")
    request = urllib.request.Request(url, line.encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - the scheme is checked above
        answer.read()


def _file() -> Path:
    return Home.from_environment().root / "notifications.jsonl"


def _recent() -> list[Notification]:
    """The last notifications of the file, which grows for ever; lines that are damaged or cut are left out."""
    try:
        with _file().open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - RECENT))
            lines = file.read().splitlines()
    except OSError:
        return []
    return [notification for line in lines if (notification := _parsed(line))]


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


def _promotion_text(promoted: Notification) -> str:
    model, accuracy = promoted.get("model", {}), promoted.get("accuracy")
    scored = f" with an accuracy of {percent(accuracy)}" if accuracy is not None else ""
    return f"{model.get('name')} version {model.get('version')} is champion{scored}{_see(promoted)}"


def _see(notification: Notification) -> str:
    report = notification.get("report")
    return f"; {report}" if report else ""


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
