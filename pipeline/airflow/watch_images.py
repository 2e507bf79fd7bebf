"""The task that looks for new images, and new corrections of labels, and reports them by an event of their asset."""

import json
import logging
import time
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, Context
from airflow.sdk.exceptions import AirflowSkipException

from components.settings.sections import Params
from components.system.files import write_atomically
from pipeline import corrections
from pipeline.airflow import task_log
from pipeline.airflow.task import StageResult, StageTask, failures
from pipeline.home import Home

SECONDS_OF_QUIET = 5.0
log = logging.getLogger(__name__)


class Watch(StageTask):
    """Succeeds, by which Airflow emits an event of the images, where their digest differs from that of the last event.

    Most looks cost one pass of `stat`: the fingerprint of the source is remembered with the digest of its images.
    Images that are still being copied are left for the next look.
    """

    def __init__(self, *, images: Asset, **arguments: Any) -> None:
        super().__init__(stage="ingest", inlets=[images], outlets=[images], **arguments)
        self._images = images

    def execute(self, context: Context) -> StageResult:
        from pipeline import run_settings

        last = self._last_digest(context)
        with task_log.of_pipeline(), failures(context), self.project.of_task(context["ti"].dag_id):
            params = run_settings.load()
            home = Home.from_environment()
            home.prepare()
            memory = home.cache / f"{context['ti'].dag_id}.json"
            fingerprint = _settled_fingerprint(params, home, memory, last)
        done = super().execute(context)
        _remember(memory, fingerprint, done["digest"])
        if done["digest"] == last:
            raise AirflowSkipException(f"the files of {params.ingest.source} changed, their images did not")
        context["outlet_events"][self._images].extra = {
            "digest": done["digest"], "source": done["source"], "headline": done["headline"],
            "fingerprint": fingerprint,
        }  # fmt: skip
        log.info("new images in %s: %s", params.ingest.source, done["headline"])
        return done

    def _last_digest(self, context: Context) -> str:
        """The digest in the last event of the images, "" where there was none."""
        events = list(context["inlet_events"][self._images].ascending(False).limit(1))
        return str((events[0].extra or {}).get("digest", "")) if events else ""


def _settled_fingerprint(params: Params, home: Home, memory: Path, last: str) -> str:
    """The fingerprint of the source; skips the task where nothing is new since *last*, or images are still arriving."""
    source, fingerprint = params.ingest.source, _fingerprint(params, home)
    if last and last == _remembered_digest(memory, fingerprint):
        raise AirflowSkipException(f"nothing new in {source}")
    time.sleep(SECONDS_OF_QUIET)
    if _fingerprint(params, home) != fingerprint:
        raise AirflowSkipException(f"images are still being copied to {source}; the next look takes them")
    return fingerprint


def _fingerprint(params: Params, home: Home) -> str:
    return corrections.identity(params.ingest, home)


def _remembered_digest(memory: Path, fingerprint: str) -> str:
    """The digest of the images when *fingerprint* was last seen; "" where it was not, or the file is damaged."""
    try:
        document = json.loads(memory.read_text())
        return str(document["digest"]) if document["fingerprint"] == fingerprint else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _remember(memory: Path, fingerprint: str, digest: str) -> None:
    write_atomically(memory, json.dumps({"fingerprint": fingerprint, "digest": digest}) + "\n")
