"""SIGTERM and SIGHUP end a command as Ctrl-C does: by KeyboardInterrupt, so that every block is left in order."""

import signal
from collections.abc import Callable
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], None]


class Terminated(KeyboardInterrupt):
    """The signal *number* asked this process to end."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


def terminate(number: int, frame: FrameType | None) -> None:
    """The handler that raises Terminated."""
    raise Terminated(number)


def raise_on_signals(handler: Handler = terminate) -> None:
    """Have *handler* called on SIGTERM, and on SIGHUP unless `nohup` had it ignored."""
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, handler)


def exit_status(interrupt: KeyboardInterrupt) -> int:
    """What a shell expects of a process that a signal ended: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
    return 128 + (interrupt.number if isinstance(interrupt, Terminated) else signal.SIGINT)
