"""Progress on a terminal that is closed while the work goes on."""

import os

import pytest

from components.progress import progress, say


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
            shown = os.read(keyboard, 2**16).decode()
            os.close(keyboard)
            assert "a line" in shown
            assert "[train]" in shown
        monkeypatch.undo()
        discard(stream.fileno())


def discard(handle: int) -> None:
    """What is still in a buffer cannot be written to a closed terminal."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, handle)
    os.close(nothing)
