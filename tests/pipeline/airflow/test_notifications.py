"""Notifications of failures and promotions, without a running Airflow: file, webhook, and what damages neither."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import Context

from pipeline.airflow import notifications
from pipeline.airflow.links import mlflow_ui
from pipeline.airflow.task_log import Refused

Posted = list[dict[str, Any]]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the notifications, in a home without any run."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.delenv("NOTIFY_WEBHOOK_URL", raising=False)
    return tmp_path / "notifications.jsonl"


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Posted]:
    """What is posted to the webhook, a real HTTP server."""
    bodies: Posted = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Webhook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("NOTIFY_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}")
        yield bodies
        server.shutdown()


def context(error: str = "", run: str = "manual", **pushed: Any) -> Context:
    """The context of a task of the run *run*, with the value that it *pushed*."""
    ti = SimpleNamespace(dag_id="watch_data", run_id=run, task_id="look", try_number=1, xcom_pull=lambda **_: pushed)
    return cast("Context", {"ti": ti, "exception": RuntimeError(error)})


def lines(file: Path) -> Posted:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_failure_reads_as_a_sentence_in_a_chat(file: Path, posted: Posted) -> None:
    """Slack and Mattermost show the key "text" of what is posted to them; the other keys are for programs."""
    notifications.failed(context("the disk is full; free some space"))
    [body] = posted
    assert body["text"] == "look of watch_data failed: the disk is full; free some space"
    assert (body["event"], body["dag"], body["task"], body["try"]) == ("failed", "watch_data", "look", 1)
    assert body["error"] == "the disk is full; free some space"
    assert lines(file) == [body]


def test_a_promotion_names_version_and_accuracy(file: Path, posted: Posted, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of a promotion: which version is champion, how accurate it and the one before are, and three links."""
    urls = {"report": "http://host/r", "mlflow_run": "http://mlflow/1", "model_version": "http://mlflow/3"}
    facts = {"model": {"name": "digits-classifier", "version": "3"}, "accuracy": 0.98765, **urls}
    monkeypatch.setattr(notifications, "record_of", lambda ti: object())
    monkeypatch.setattr(notifications, "_facts", lambda record: facts)
    compared = {"champion_accuracy": 0.984}
    notifications.succeeded(context(made=True, headline="better by 0.3 points", promotion=compared))
    notifications.succeeded(context(made=False, headline="is champion already"))
    [body] = posted
    sentence, *links = body["text"].splitlines()
    assert sentence == (
        "digits-classifier version 3 is champion with an accuracy of 98.77 % (champion before: 98.40 %)"
    )
    assert links == ["Report: http://host/r", "MLflow run: http://mlflow/1", "Model version: http://mlflow/3"]
    assert (body["event"], body["reason"]) == ("promoted", "better by 0.3 points")


def test_the_first_success_after_a_failure_is_reported(file: Path) -> None:
    """Once, whether it has made a champion or not."""
    unchanged = context(made=False, headline="is champion already")
    notifications.succeeded(unchanged)
    notifications.failed(context("the disk is full"))
    for _ in range(2):
        notifications.succeeded(unchanged)
    assert [line["event"] for line in lines(file)] == ["failed", "recovered"]
    assert lines(file)[1]["text"] == "watch_data succeeds again: is champion already"


def test_an_alarm_names_what_nobody_else_notices(file: Path, posted: Posted) -> None:
    """One notification for each problem."""
    notifications.alarm(["the disk is nearly full"], context())
    [body] = posted
    assert (body["event"], body["text"]) == ("alarm", "watch_data: the disk is nearly full")


def test_the_same_error_is_reported_once_an_hour(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a task that runs every few minutes; another error is reported at once, the same one an hour later."""
    notifications.failed_repeatedly(context("no such folder"))
    notifications.failed_repeatedly(context("no such folder", run="next"))
    notifications.failed_repeatedly(context("not readable", run="next"))
    assert [line["error"] for line in lines(file)] == ["no such folder", "not readable"]
    later = time.time() + 3700
    monkeypatch.setattr(time, "time", lambda: later)
    notifications.failed_repeatedly(context("no such folder", run="last"))
    assert len(lines(file)) == 3


def test_the_report_of_a_run_is_no_part_of_its_error(file: Path) -> None:
    """It is another one in each run, and has a key of its own."""
    for run in ("one", "next"):
        failed = context("", run=run)
        failed["exception"] = Refused("unreadable images", f"http://host/pipeline/runs/{run}/report.html")
        notifications.failed_repeatedly(failed)
    assert [line["error"] for line in lines(file)] == ["unreadable images"]


@pytest.mark.parametrize(
    "damage",
    [b'{"event": "fail', b"\xff\xfe\x00", b'["a", "list"]', b'{"an": "object of another program"}', b"null"],
    ids=["cut", "binary", "list", "foreign", "null"],
)
def test_a_damaged_line_hides_no_other(file: Path, damage: bytes) -> None:
    """Each line stands for itself: those before and after a damaged one still count, and no callback fails."""
    notifications.failed(context("before"))
    with file.open("ab") as stream:
        stream.write(damage + b"\n")
    notifications.failed_repeatedly(context("before", run="next"))
    notifications.run_failed(context())
    assert file.read_bytes().count(b"\n") == 2
    notifications.failed_repeatedly(context("after"))
    assert json.loads(file.read_bytes().splitlines()[-1])["error"] == "after"


def test_a_killed_task_is_reported_by_its_run(file: Path) -> None:
    """The run's callback reports the task that could not do so itself, and no task a second time."""
    notifications.run_failed(context(run="killed"))
    notifications.run_failed(context(run="killed"))
    [line] = lines(file)
    assert (line["run"], line["error"]) == ("killed", notifications.KILLED)


def test_a_file_of_years_is_not_read_whole(file: Path) -> None:
    """A hundred megabytes of earlier notifications cost as little as none, and only the last ones are kept."""
    with file.open("wb") as stream:
        stream.seek(100_000_000)
        stream.write(b"\n")
    start = time.process_time()
    notifications.failed_repeatedly(context("no such folder"))
    notifications.failed_repeatedly(context("no such folder", run="next"))
    assert time.process_time() - start < 0.1
    assert file.read_bytes().count(b"no such folder") == 2  # error and text of one line
    assert file.stat().st_size < 2**20


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "ftp://127.0.0.1/", "no address"])
def test_a_webhook_that_fails_costs_a_warning(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    """Nobody listens, or the address is none: the line is kept and the callback returns."""
    monkeypatch.setenv("NOTIFY_WEBHOOK_URL", url)
    notifications.failed(context("the disk is full"))
    assert len(lines(file)) == 1
    assert "the notification could not be delivered" in caplog.text


def test_a_notification_holds_no_credentials(file: Path, posted: Posted, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in the file nor in the log nor in a chat; a name that is no UTF-8 reaches them as letters."""
    caplog.set_level("INFO")
    notifications.failed(context("notes-\udce9.txt: no answer from http://user:secret@host/"))
    [body] = posted
    assert body["error"] == "notes-\\xe9.txt: no answer from http://***@host/"
    assert "secret" not in json.dumps(body) + file.read_text() + caplog.text


def test_an_error_with_credentials_is_reported_once_an_hour_too(file: Path) -> None:
    """It is compared as it was written."""
    for _ in range(2):
        notifications.failed_repeatedly(context("no answer from http://user:secret@host/"))
    assert len(lines(file)) == 1


@pytest.mark.parametrize(
    "url",
    ["http://user:secret@127.0.0.1:9/", "http://127.0.0.1:9/services/secret x", "services/secret", "http://[secret"],
)
def test_the_address_of_a_webhook_is_never_logged(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    """Whoever knows it can post there; a malformed one costs a warning as any other."""
    monkeypatch.setenv("NOTIFY_WEBHOOK_URL", url)
    notifications.failed(context("the disk is full"))
    assert "the notification could not be delivered" in caplog.text
    assert "secret" not in caplog.text


def test_a_full_disk_is_reported_to_the_webhook(posted: Posted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file cannot be written, nobody else would tell."""
    monkeypatch.setattr(notifications, "_file", lambda _home=None: Path("/dev/full"))
    notifications.failed(context("the disk is full"))
    assert [body["error"] for body in posted] == ["the disk is full"]


def test_the_links_hold_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are seen by everybody who sees the task."""
    monkeypatch.delenv("PIPELINE_MLFLOW_UI", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:secret@mlflow.example.org/team/?token=secret")
    assert mlflow_ui() == "https://mlflow.example.org/team"
