"""Airflow's notifier for a webhook: the callbacks and deadline alerts of any DAG can use it, as

WebhookNotifier("https://hooks.example.org/1", {"text": "{{ ti.task_id }} has failed"})
"""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from airflow.sdk import BaseNotifier, Context

from components.system.background import within

SECONDS = 5.0


class WebhookNotifier(BaseNotifier):
    """Posts *message* as JSON to *url*, within SECONDS or never; Slack, Mattermost and Teams show its key "text".

    Not HttpNotifier of Airflow's HTTP provider: that needs a connection for each address, and a server that drips its
    answer would hold the task for ever.
    """

    template_fields = ("url", "message")

    def __init__(self, url: str, message: Mapping[str, Any], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.url, self.message = url, dict(message)

    def notify(self, context: Context) -> None:
        request(self.url, json.dumps(self.message).encode())

    async def async_notify(self, context: Context) -> None:
        await asyncio.to_thread(self.notify, context)


def request(url: str, body: bytes | None = None) -> None:
    """Request *url*, with the JSON *body* if there is one; raises OSError or ValueError, none of which names *url*."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("it is no address; expected one that begins with http:// or https://")
    within(SECONDS, lambda: _send(url, body))


def _send(url: str, body: bytes | None) -> None:
    headers = {"Content-Type": "application/json"} if body else {}
    try:
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - the scheme is checked above
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise
    except HTTPException as error:  # InvalidURL quotes it
        raise ValueError("the address is malformed, or its server answers in another language") from error
