"""Where notifications go besides the log and the file: a webhook, e-mail, what apprise reaches, a dead man's switch.

$NOTIFY_WEBHOOK_URL      gets the notification as JSON, whose key "text" Slack, Mattermost and Teams show
$NOTIFY_EMAIL            addresses, separated by commas, by Airflow's SMTP provider and its connection smtp_default
$NOTIFY_APPRISE_URLS     addresses of apprise, separated by spaces, where that package is installed
$NOTIFY_HEARTBEAT_URL    is requested after each run that succeeded; who expects that tells when it stays away

A channel that fails, or does not answer in time, is a warning in the log, and fails no task. No address is logged:
whoever knows it may post there.
"""

import html
import importlib
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from airflow.sdk import Context

from components.public_text import public
from components.system.background import within

SECONDS = 60.0  # for a channel: a mail server may be slow
SUBJECT = 100  # characters
log = logging.getLogger(__name__)

Message = Mapping[str, Any]  # public, with the key "text"


def deliver(message: Message, context: Context) -> None:
    """Send *message* by every channel that the environment names."""
    for variable, send in SENDERS.items():
        if where := os.environ.get(variable, "").strip():
            _tried(variable, lambda send=send, where=where: send(where, message, context))  # type: ignore[misc]


def heartbeat() -> None:
    """Say that a run has succeeded."""
    if url := os.environ.get("NOTIFY_HEARTBEAT_URL", "").strip():
        _tried("NOTIFY_HEARTBEAT_URL", lambda: _requested(url))


def _tried(variable: str, send: Callable[[], None]) -> None:
    try:
        within(SECONDS, send)
    except Exception as error:  # of whatever library a channel takes: no task fails for it
        reason = type(error).__name__ if os.environ[variable].strip() in str(error) else public(str(error))
        log.warning("%s: the notification could not be delivered: %s", variable, reason)


def _post(url: str, message: Message, context: Context) -> None:
    from pipeline.airflow.webhook import WebhookNotifier

    WebhookNotifier(url, message).notify(context)


def _requested(url: str) -> None:
    from pipeline.airflow import webhook

    webhook.request(url)


def _mail(addresses: str, message: Message, context: Context) -> None:
    """By Airflow's own notifier; sender and server are those of the connection."""
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    lines = str(message["text"]).splitlines()
    leads = {f"{name}: {url}": f'<a href="{html.escape(url)}">{name}</a>' for name, url in links(message).items()}
    body = "".join(f"<p>{leads.get(line, html.escape(line))}</p>" for line in lines)
    to = [address.strip() for address in addresses.split(",") if address.strip()]
    SmtpNotifier(to=to, subject=lines[0][:SUBJECT], html_content=body, mime_subtype="alternative").notify(context)


def links(message: Message) -> dict[str, str]:
    """What a message leads to: name -> address."""
    names = {"report": "Report", "mlflow_run": "MLflow run", "model_version": "Model version"}
    return {name: str(message[key]) for key, name in names.items() if message.get(key)}


def _apprise(addresses: str, message: Message, _context: Context) -> None:
    sender = importlib.import_module("apprise").Apprise()
    if not all(map(sender.add, addresses.split())):
        raise ValueError("NOTIFY_APPRISE_URLS has an address that apprise does not know")
    if not sender.notify(body=str(message["text"])):
        raise OSError("apprise could not send it")


SENDERS: Mapping[str, Callable[[str, Message, Context], None]] = {
    "NOTIFY_WEBHOOK_URL": _post,
    "NOTIFY_EMAIL": _mail,
    "NOTIFY_APPRISE_URLS": _apprise,
}
