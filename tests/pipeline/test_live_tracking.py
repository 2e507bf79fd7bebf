"""A training is watched in MLflow without waiting for it."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from components.errors import RegistryUnreachable
from pipeline import live_tracking
from pipeline.live_tracking import LiveTracking

HISTORY = [{"epoch": k, "loss": 1 / k, "val_loss": 1 / k} for k in (1, 2, 3)]


class Server:
    """MLflow, as far as a training talks to it: *taken* are the epochs whose loss it has."""

    uri = "http://127.0.0.1:1"

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken: list[tuple[str, int]] = []
        self.news, self.asked = threading.Semaphore(0), threading.Semaphore(0)
        self.client, self.failures = object(), list[Exception]()
        monkeypatch.setattr(live_tracking, "log_curves", self.log)
        monkeypatch.setattr(LiveTracking, "_machine", lambda *_: SimpleNamespace(finish=lambda: None))

    def log(self, _client: object, run: str, metrics: Any) -> None:
        assert run == "id"
        self.asked.release()
        rows = [(metric.name, metric.step) for metric in metrics if metric.name.endswith("val_loss")]
        if self.failures:
            raise self.failures.pop()
        self.taken += rows
        self.news.release()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


def follow(server: Any, open_run: Callable[[], str] = lambda: "id", prefix: str = "") -> LiveTracking:
    return LiveTracking(server, open_run, prefix)


def test_each_epoch_is_logged_while_the_next_is_trained(server: Server) -> None:
    """Not at the end of the training; of an ensemble under the name of the member."""
    with follow(server, prefix="member1/").following() as watch:
        for epochs in (1, 2, 3):
            watch(HISTORY[:epochs])
            assert server.news.acquire(timeout=30)
            assert server.taken[-1] == ("member1/val_loss", epochs)
    assert len(server.taken) == 3


def test_the_run_is_open_before_the_first_epoch(server: Server) -> None:
    """So that its link is there at once."""
    opened = threading.Event()

    def open_run() -> str:
        opened.set()
        return "id"

    with follow(server, open_run).following():
        assert opened.is_set()


def test_the_last_epoch_is_logged_before_the_training_is_over(server: Server) -> None:
    """A training that ends with its last epoch leaves none for later."""
    with follow(server).following() as watch:
        watch(HISTORY)
    assert [step for _, step in server.taken] == [1, 2, 3]


@pytest.mark.parametrize("error", [RegistryUnreachable("no answer; start it"), KeyError("a bug"), ConnectionError("x")])
def test_what_mlflow_did_not_take_is_sent_with_the_next_epoch(
    server: Server, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was away for two epochs: one warning, and no epoch is missing."""
    with follow(server).following() as watch:
        for epochs in (1, 2):
            server.failures = [error]
            watch(HISTORY[:epochs])
            assert server.asked.acquire(timeout=30)
        watch(HISTORY)
        assert server.news.acquire(timeout=30)
    assert [step for _, step in server.taken] == [1, 2, 3]
    assert capsys.readouterr().err.count("warning: ") == 1


def test_a_run_that_cannot_be_opened_is_tried_again_with_each_epoch(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """MLflow was started after the training."""
    away = [RegistryUnreachable("MLflow did not answer; start it")]

    def open_run() -> str:
        if away:
            raise away.pop()
        return "id"

    with follow(server, open_run).following() as watch:
        assert "warning: MLflow did not answer; the training goes on" in capsys.readouterr().err
        watch(HISTORY[:1])
        assert server.news.acquire(timeout=30)
    assert [step for _, step in server.taken] == [1]


def test_a_server_that_never_answers_does_not_hold_the_training(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its start, nor its epochs, nor its end waits longer than the bounds."""
    monkeypatch.setattr(live_tracking, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(live_tracking, "LAST_SECONDS", 0.01)
    answer = threading.Event()
    with follow(server, lambda: "id" if answer.wait(60) else "").following() as watch:
        watch(HISTORY)
    assert not server.taken
    answer.set()
    for thread in threading.enumerate():
        if thread.name == "MLflow":
            thread.join(30)
    assert not server.taken  # which the end of the run logs


def test_a_training_that_fails_fails_with_its_own_error(server: Server) -> None:
    """The thread ends with it."""
    with pytest.raises(ZeroDivisionError), follow(server).following():
        raise ZeroDivisionError
    assert not any(thread.name == "MLflow" for thread in threading.enumerate())
