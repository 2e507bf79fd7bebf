"""The task that looks for new images in the source and tells of them by an event of their asset."""

import json
import logging
import time
from pathlib import Path
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from components.settings.sections import Params
from pipeline.airflow.assets import IMAGES
from pipeline.airflow.task import StageTask, failures, load
from pipeline.home import Home

SECONDS_OF_QUIET = 5.0
log = logging.getLogger(__name__)


def changes(source: str) -> bool:
    """Whether the images of *source* can become others: those of a folder can, those of a published data set cannot."""
    return source not in ("auto", "mnist", "digits") and not source.startswith("tfds:")


class Watch(StageTask):
    """Succeeds, by which Airflow makes an event of the images, where their digest is not that of the last event.

    Most looks cost one pass of `stat`: the source's fingerprint of the last look is remembered with the digest that
    its images came to. Images that are still arriving are left for the next look.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        with failures():
            params = load([])
            home = Home.from_environment()
            home.prepare()
            fingerprint = _fingerprint(params, home)
            seen = _seen(home)
            known = seen["digest"] if seen["fingerprint"] == fingerprint else ""
            last = _last(context)
            if known and known == last:
                raise AirflowSkipException(f"nothing new in {params.ingest.source}")
            time.sleep(SECONDS_OF_QUIET)
            if _fingerprint(params, home) != fingerprint:
                raise AirflowSkipException(f"images are still arriving in {params.ingest.source}: see the next look")
        done = super().execute(context)
        _remember(home, fingerprint, done["digest"])
        if done["digest"] == last:
            raise AirflowSkipException(f"{params.ingest.source} changed, and its images come to the same")
        told = {name: done[name] for name in ("digest", "source", "headline")}
        context["outlet_events"][IMAGES].extra = told | {"fingerprint": fingerprint}
        log.info("new images in %s: %s", params.ingest.source, done["headline"])
        return done


def _fingerprint(params: Params, home: Home) -> str:
    from components.ingest.sources import select

    return select.fingerprint(params.ingest, home.cache)


def _last(context: Context) -> str:
    """The digest that the last event told of, "" where there was none."""
    events = list(context["inlet_events"][IMAGES].ascending(False).limit(1))
    return str((events[0].extra or {}).get("digest", "")) if events else ""


def _memory(home: Home) -> Path:
    return home.cache / "watched.json"


def _seen(home: Home) -> dict[str, str]:
    """The fingerprint of the last look and the digest that it came to; nothing where the file cannot be read."""
    try:
        document = json.loads(_memory(home).read_text())
        return {name: str(document[name]) for name in ("fingerprint", "digest")}
    except (OSError, ValueError, KeyError, TypeError):
        return {"fingerprint": "", "digest": ""}


def _remember(home: Home, fingerprint: str, digest: str) -> None:
    part = _memory(home).with_suffix(".part")
    part.write_text(json.dumps({"fingerprint": fingerprint, "digest": digest}) + "\n")
    part.replace(_memory(home))
