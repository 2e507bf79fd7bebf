"""Signals that end a command: each leaves every block in order, and the status that a shell expects."""

import os
import signal
from collections.abc import Iterator

import pytest

from components.system.signals import Terminated, exit_status, raise_on_signals


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "status", "text"), [(signal.SIGTERM, 143, "ended by SIGTERM"), (signal.SIGHUP, 129, "ended by SIGHUP")]
)
def test_a_signal_ends_a_command_with_its_own_status(number: int, status: int, text: str) -> None:
    """A supervisor tells a stopped service from one that a user interrupted, and so does the run's record."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    raise_on_signals()
    with pytest.raises(Terminated) as raised:
        os.kill(os.getpid(), number)
    assert (exit_status(raised.value), str(raised.value)) == (status, text)


def test_ctrl_c_keeps_its_status() -> None:
    """130, by KeyboardInterrupt as ever."""
    assert exit_status(KeyboardInterrupt()) == 130


def test_nohup_keeps_a_run_alive() -> None:
    """A SIGHUP that the shell has the process ignore stays ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise_on_signals()
    os.kill(os.getpid(), signal.SIGHUP)
