"""How tests look at processes that are to end."""

import time
from collections.abc import Callable

import psutil

SECONDS = 60  # a busy machine is no failure


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def until(look: Callable[[], object]) -> None:
    """Wait until *look* is true."""
    end = time.monotonic() + SECONDS
    while not look():
        assert time.monotonic() < end
        time.sleep(0.01)
