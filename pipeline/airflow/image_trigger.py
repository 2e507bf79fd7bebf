"""The trigger of the asset of the images: Airflow's triggerer runs it, and it emits an event when new images are there.

It looks at the source, and at the corrections of its labels, every few seconds, by names and times alone. Once these
stay the same for SECONDS_OF_QUIET, so that nothing is still being copied, it identifies the images; they are new unless
the last event had the same.

$PIPELINE_HOME/cache/
  watched-<hash of the settings file>.json    the fingerprint in the last event: a restart neither loses nor repeats one
"""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from components.errors import Failure
from components.ingest import select
from components.ingest.reading.activity import stamp_of
from components.settings.sections import Ingest
from components.system.files import write_atomically
from pipeline import config, corrections
from pipeline.airflow import params_form
from pipeline.airflow.project import workspace
from pipeline.home import Home

SECONDS_OF_QUIET = 5.0
SHARE = 0.05  # of the time that may be spent on looking: a source with a million files is looked at less often

Payload = dict[str, str]
log = logging.getLogger(__name__)


class ImagesTrigger(BaseEventTrigger):
    """Watches the source that the file *settings* names ("": $PIPELINE_CONFIG), with *seconds* between two looks."""

    def __init__(self, settings: str = "", seconds: float = 5.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.settings, self.seconds = settings, seconds
        self._settled = self._before = ""  # the stamps of the last quiet look, and of the last look
        self._problem = ""
        self._home = Home.from_environment()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.{type(self).__name__}", {"settings": self.settings, "seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while True:
            started = time.monotonic()
            payload = await asyncio.to_thread(self._tried)
            needed = time.monotonic() - started
            if payload:
                yield TriggerEvent(payload)  # type: ignore[no-untyped-call]
            pause = SECONDS_OF_QUIET if self._before != self._settled else self.seconds
            await asyncio.sleep(max(pause, needed / SHARE))
            if payload:  # only now: the triggerer has had the time to store the event
                await asyncio.to_thread(self._remember, payload["fingerprint"])

    def _tried(self) -> Payload | None:
        """As `look`; what keeps it from looking is logged once, and may be over the next time."""
        try:
            payload, self._problem = self.look(), ""
            return payload
        except Exception as error:  # a bug, too: the trigger that it ended would not be started again
            if str(error) != self._problem:
                self._problem = str(error)
                log.warning("the images cannot be watched: %s", error, exc_info=not isinstance(error, Failure))
            return None

    def look(self) -> Payload | None:
        """What the event says of new images, None where there are none, or they are still being copied."""
        values = params_form.read_settings(self.settings)[0]
        params, self._home = config.ingest_section(values), workspace(values)
        if not select.can_change(params.source):
            return None
        before, self._before = self._before, self._stamp(params)
        if self._before in (self._settled, "") or self._before != before:
            return None
        fingerprint = corrections.identity(params, self._home)
        self._settled = self._before
        if fingerprint == self._remembered():
            return None
        return {"source": params.source, "fingerprint": fingerprint}

    def _stamp(self, params: Ingest) -> str:
        """What changes while images arrive, or corrections of their labels."""
        if params.source.startswith(select.BUCKET):
            return corrections.identity(params, self._home)
        select.kind(params.source)  # raises what is wrong with it
        source, corrected = Path(params.source), corrections.file_of(params, self._home)
        others = [*([source / params.labels] if params.labels else []), *([corrected] if corrected else [])]
        return stamp_of([source, *others], self._home.root)

    def _memory(self) -> Path:
        suffix = f"-{hashlib.sha256(self.settings.encode()).hexdigest()[:16]}" if self.settings else ""
        return self._home.cache / f"watched{suffix}.json"

    def _remembered(self) -> str:
        """The fingerprint in the last event; "" where there was none, or the file is damaged."""
        try:
            return str(json.loads(self._memory().read_text())["fingerprint"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def _remember(self, fingerprint: str) -> None:
        self._home.prepare()
        write_atomically(self._memory(), json.dumps({"fingerprint": fingerprint}) + "\n")
