"""What a task logs: at its level, in the words of the UI, and a failure without traceback."""

import logging
import sys

import pytest
import structlog

from components.progress import say
from pipeline.airflow import task_log
from pipeline.airflow.task_log import Failed, Refused, TryAgain


@pytest.fixture(autouse=True)
def processors(monkeypatch: pytest.MonkeyPatch) -> list[structlog.typing.Processor]:
    """Those of Airflow's task runner, whose loggers hold the list itself."""
    processors: list[structlog.typing.Processor] = []
    monkeypatch.setattr(structlog, "get_config", lambda: {"processors": processors})
    return processors


def test_warnings_are_warnings(caplog: pytest.LogCaptureFixture) -> None:
    """The log's filter by level finds them; progress and facts are information."""
    caplog.set_level(logging.INFO)
    with task_log.of_pipeline():
        say("  warning: the classes are unequal; use --set train.class_weights=balanced")
        say("[5/8] evaluate   made in 3 s")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "the classes are unequal; *Trigger* a run with train.class_weights=balanced"),
        ("INFO", "[5/8] evaluate   made in 3 s"),
    ]


def test_what_is_said_afterwards_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """As on the command line."""
    with task_log.of_pipeline():
        print("a library's line", file=sys.stderr)
    say("the end")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("a library's line\n", "the end\n")


@pytest.mark.parametrize("kind", [Refused, TryAgain])
def test_a_failure_is_logged_without_traceback(
    processors: list[structlog.typing.Processor], kind: type[Failed]
) -> None:
    """As Airflow's task runner logs it, the exception that is being handled."""
    for _ in range(2):
        with task_log.of_pipeline():
            ...
    [shorten] = processors
    try:
        raise kind("below the gate", "http://host/report.html")
    except kind:
        event = shorten(None, "error", {"event": "Task failed with exception", "exc_info": True})
    assert event == {"event": "below the gate; report: http://host/report.html"}


def test_a_bug_keeps_its_traceback(processors: list[structlog.typing.Processor]) -> None:
    """It is what tells where it is."""
    with task_log.of_pipeline():
        ...
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        event = processors[0](None, "error", {"event": "Task failed with exception", "exc_info": True})
    assert event == {"event": "Task failed with exception", "exc_info": True}
