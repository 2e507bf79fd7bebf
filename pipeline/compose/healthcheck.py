"""The health check of a container: exit status 0, or 1 and a line with the reason.

python -m pipeline.compose.healthcheck              the settings can be read
python -m pipeline.compose.healthcheck scheduler    this part had a heartbeat lately (also: metadatabase, ...)
python -m pipeline.compose.healthcheck worker       the Celery worker of this container answers
"""

import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from components.errors import Failure, Unavailable
from components.progress import say
from pipeline import config
from pipeline.airflow.standalone.rest_client import Api

BROKER = Path("/run/secrets/airflow_broker")
SECONDS_TO_ANSWER = 10.0


def main(arguments: Sequence[str]) -> int:
    part = arguments[0] if arguments else ""
    try:
        if part == "worker":
            check_worker()
        elif part:
            check_airflow(part)
        else:
            config.load(config.settings_file())
    except Failure as error:
        say(str(error))
        return 1
    return 0


def check_airflow(part: str) -> None:
    """Ask the API server, which receives the heartbeats of the other parts; raises Unavailable."""
    url = os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"].removesuffix("/execution/")
    status = Api(url, "", "").health().get(part, {}).get("status", "unknown: the API server does not answer")
    if status != "healthy":
        raise Unavailable(f"{part} is {status}")


def check_worker() -> None:
    """Ask Celery's main process, which answers while a task runs, through the broker; raises Unavailable."""
    from celery import Celery
    from kombu.exceptions import OperationalError

    name = f"celery@{socket.gethostname()}"
    with Celery(broker=BROKER.read_text().strip()) as app:
        try:
            answers = app.control.ping([name], timeout=SECONDS_TO_ANSWER, limit=1)
        except OperationalError as error:
            raise Unavailable(f"the broker cannot be reached: {error}") from None
    if not answers:
        raise Unavailable(f"{name} has not answered for {SECONDS_TO_ANSWER:g} s")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
