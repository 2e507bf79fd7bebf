"""Tell people: one line of JSON per failure and per promotion, in the task's log, in a file, and to a webhook.

$PIPELINE_HOME/notifications.jsonl     every line so far
$NOTIFY_WEBHOOK_URL                    where set, each line is posted there; what goes wrong with it fails no run
"""

import json
import logging
import os
import time
import urllib.request
from pathlib import Path
from typing import Any

from airflow.sdk import Context

from pipeline.airflow.links import model_url, record_of, report_url, run_url
from pipeline.home import Home
from pipeline.run_record import RunRecord, now

SECONDS = 5
log = logging.getLogger(__name__)


def failed(context: Context) -> None:
    """Airflow's callback for a task that failed for good."""
    error = str(context.get("exception") or "its log tells why")
    tell(_event("failed", context) | {"error": error})


def run_failed(context: Context) -> None:
    """Airflow's callback for a run that failed: tells of a task that could not, since its process was killed."""
    event = _event("failed", context)
    if not any(_same(line, event) for line in _lines()):
        tell(event | {"error": "the task was killed or marked failed; Clear it, and it goes on from what it finished"})


def failed_anew(context: Context) -> None:
    """As `failed`, for a task that runs every few minutes: the same failure is told once an hour."""
    error = str(context.get("exception") or "")
    if error not in _errors_of_an_hour(context["ti"].dag_id):
        failed(context)


def succeeded(context: Context) -> None:
    """Airflow's callback for `promote`: tells of it where the champion changed."""
    done = context["ti"].xcom_pull(task_ids=context["ti"].task_id)
    if done and done["made"]:
        tell(_event("promoted", context) | {"reason": done["headline"]})


def _file() -> Path:
    return Home.from_environment().root / "notifications.jsonl"


def _lines() -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in _file().read_text().splitlines()]
    except (OSError, ValueError):
        return []


def _same(line: dict[str, Any], event: dict[str, Any]) -> bool:
    return all(line.get(name) == event[name] for name in ("event", "dag", "run", "task", "try"))


def _errors_of_an_hour(dag: str) -> set[str]:
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
    return {line.get("error", "") for line in _lines() if line["dag"] == dag and line["time"] > since}


def tell(event: dict[str, Any]) -> None:
    line = json.dumps(event)
    log.info("%s", line)
    try:
        with _file().open("a") as file:
            file.write(line + "\n")
        if url := os.environ.get("NOTIFY_WEBHOOK_URL"):
            _post(url, line)
    except (OSError, ValueError) as error:  # URLError is an OSError; ValueError is an address that is none
        log.warning("the notification did not get through: %s", error)


def _post(url: str, line: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"NOTIFY_WEBHOOK_URL is {url!r}; expected an address that begins with http:// or https://")
    request = urllib.request.Request(url, line.encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - the scheme is judged above
        answer.read()


def _event(what: str, context: Context) -> dict[str, Any]:
    ti = context["ti"]
    event = {"time": now(), "event": what, "dag": ti.dag_id, "run": ti.run_id, "task": ti.task_id, "try": ti.try_number}
    record = record_of(ti)
    return event | (_facts(record) if record else {})


def _facts(record: RunRecord) -> dict[str, Any]:
    return {
        "source": record.source,
        "accuracy": record.accuracy,
        "model": record.model,
        "report": report_url(record),
        "mlflow_run": run_url(record),
        "model_version": model_url(record),
    }
