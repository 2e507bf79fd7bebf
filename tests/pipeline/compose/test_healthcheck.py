"""The health checks of the containers: exit status 0 where the part is healthy, 1 and a reason where it is not."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pipeline.compose import healthcheck

HEALTH = {"scheduler": {"status": "healthy"}, "triggerer": {"status": "unhealthy"}}


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    """A server that answers as Airflow's API server does when asked for the health of its parts."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/v2/monitor/health" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(HEALTH).encode())

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/execution/"
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", address)
    yield server
    server.shutdown()
    server.server_close()


def test_a_part_is_as_healthy_as_its_heartbeat(airflow: HTTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A part from which Airflow never received one is not healthy either."""
    assert healthcheck.main(["scheduler"]) == 0
    assert healthcheck.main(["triggerer"]) == 1
    assert capsys.readouterr().err == "triggerer is unhealthy\n"
    assert healthcheck.main(["dag_processor"]) == 1


def test_nothing_is_healthy_without_the_api_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line says who did not answer."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://127.0.0.1:1/execution/")
    assert healthcheck.main(["scheduler"]) == 1
    assert "the API server does not answer" in capsys.readouterr().err


def test_a_single_container_needs_valid_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The image's own check, for `docker run IMAGE python -m pipeline run`."""
    assert healthcheck.main([]) == 0
    monkeypatch.setenv("PIPELINE_TRAIN_EPOCHS", "-1")
    assert healthcheck.main([]) == 1
    assert "train.epochs" in capsys.readouterr().err
