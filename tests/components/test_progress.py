"""Progress in a log, and on a terminal that is closed while the work goes on."""

import os

import pytest

from components.progress import progress, say


def test_a_log_shows_progress_after_two_seconds_and_every_ten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What takes less says nothing."""
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with progress("ingest", 20) as advance:
        for second in range(1, 16):
            now = 100.0 + second
            advance(second)
    assert capsys.readouterr().err.splitlines() == ["  ingest 2 of 20", "  ingest 12 of 20"]


@pytest.mark.parametrize("closed", ["before", "meanwhile", "never"])
def test_a_terminal_that_is_closed_ends_no_work(closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was disowned trains on: neither lines nor bars are worth its end."""
    keyboard, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        if closed == "before":
            os.close(keyboard)
        say("a line")
        with progress("[train]", 2) as advance:
            advance(1, "loss [0.5]")
            if closed == "meanwhile":
                os.close(keyboard)
            advance(2)
        say("another line")
        if closed == "never":
            shown = ""
            while "another line" not in shown:  # a busy kernel hands it over in parts
                shown += os.read(keyboard, 2**16).decode()
            os.close(keyboard)
            assert "a line" in shown
            assert "[train]" in shown
        monkeypatch.undo()
        discard(stream.fileno())


def test_an_answer_that_is_printed_beside_the_bar_stays_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As in `predict FOLDER > rows`, whose progress is on the terminal."""
    keyboard, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        with progress("predict", 2) as advance:
            advance(1)
            print("a row")
        monkeypatch.undo()
        assert b"a row" not in os.read(keyboard, 2**16)
    os.close(keyboard)
    assert capfd.readouterr().out == "a row\n"


def discard(handle: int) -> None:
    """What is still in a buffer cannot be written to a closed terminal."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, handle)
    os.close(nothing)
