"""Calls that can be given up."""

import threading
import time

import pytest

from components.system.background import within


def test_a_call_that_does_not_end_is_given_up() -> None:
    """In time, while the call goes on."""
    ended, start = threading.Event(), time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        within(0.1, ended.wait)
    assert time.monotonic() - start < 10
    ended.set()


def test_what_a_call_raises_is_raised() -> None:
    def call() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        within(60, call)


def test_a_call_that_ends_is_waited_for() -> None:
    done: list[int] = []
    within(60, lambda: done.append(1))
    assert done == [1]
