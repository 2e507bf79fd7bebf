"""Child processes: messages both ways, and no process is left, whichever of the two ends first."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from components.errors import DataRejected
from components.system.processes import ROOT, Child, raise_failure, ready

ECHO = "tests.support.echo_child"


@pytest.fixture
def child() -> Iterator[Child]:
    with Child(ECHO) as child:
        yield child


def test_messages_go_both_ways(child: Child) -> None:
    """Several in a row, with any text, in the order in which they were sent."""
    texts = ["one", "two\nlines", "ü" * 100_000]
    for text in texts:
        child.send({"do": "echo", "text": text})
        assert child.receive() == {"do": "echo", "text": text}


def test_what_libraries_print_is_no_message(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither Python's print, nor C's, nor that of a process that the child starts; all of it reaches stderr."""
    with Child(ECHO) as child:
        child.send({"do": "print_everywhere"})
        assert child.receive() == {"printed": True}
    printed = capfd.readouterr().err.splitlines()
    assert printed == ["printed by a library", "printed by C code", "printed by a grandchild"]


def test_bytes_follow_a_message(child: Child) -> None:
    """More than a pipe holds, and line ends among them; the next message comes after them."""
    for count in (300_000, 0, 1):
        child.send({"do": "send_bytes", "count": count})
        assert child.receive() == {"count": count}
        assert child.receive_bytes(count) == b"\n" * count


def test_a_failure_is_raised_on_the_other_side(child: Child) -> None:
    """As the class that it was, with its text."""
    child.send({"do": "fail"})
    message = child.receive()
    assert message
    with pytest.raises(DataRejected, match="no images"):
        raise_failure(message)


@pytest.mark.parametrize(
    ("what", "ending"), [("end", "ended with status 3"), ("send_half", f"was killed by signal {signal.SIGKILL:d}")]
)
def test_a_child_that_ended_sends_no_message(child: Child, what: str, ending: str) -> None:
    """Not even where it had begun to write one, and its parent can say how it ended; sending does no harm."""
    child.send({"do": what})
    assert child.receive() is None
    assert child.receive_bytes(1) in (b"", b"{")
    assert child.ending() == ending
    child.send({"do": "echo"})
    assert child.receive() is None


def test_a_child_killed_while_it_works_is_ready_at_once() -> None:
    """Whoever waits for several children learns of it, as of a message; the others are left alone."""
    with Child(ECHO) as one, Child(ECHO) as other:
        for child in (one, other):
            child.send({"do": "work"})
        started = [child.receive() for child in (one, other)]
        assert started[0]
        assert ready([one, other], 0.05) == []
        os.kill(started[0]["working"], signal.SIGKILL)
        assert ready([one, other], None) == [one]
        assert one.receive() is None


def test_a_message_that_came_with_another_one_is_ready(child: Child) -> None:
    """It has been read along and waits in this process, where no system call sees it."""
    for text in ("first", "second"):
        child.send({"do": "echo", "text": text})
    first = child.receive()
    assert first == {"do": "echo", "text": "first"}
    assert ready([child], 60) == [child]
    assert child.receive() == {"do": "echo", "text": "second"}


PARENT = f"""
from components.system.processes import Child
child = Child("{ECHO}")
child.send({{"do": "work"}})
print(child.receive()["working"], flush=True)
child.receive()
"""


def test_a_child_ends_with_its_parent() -> None:
    """kill -9 of the parent, while the child is busy and reads nothing."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout
        worker = psutil.Process(int(parent.stdout.readline()))
        assert worker.is_running()
        parent.kill()
    worker.wait(60)
    assert not worker.is_running()


def test_a_child_is_gone_after_its_block() -> None:
    """Whatever it is doing."""
    with Child(ECHO) as child:
        child.send({"do": "work"})
        started = child.receive()
    assert started
    assert not psutil.pid_exists(started["working"])
