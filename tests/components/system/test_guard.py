"""A program under a guard, in processes of its own: whatever is killed, nothing that the program started is left."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.conftest import CLEAN, ROOT
from tests.support.processes import SECONDS, lives, until

# Prints its process and an orphan that it started in a session of its own; ends with a line of input.
PROGRAM = """
import os, subprocess, sys
from components.system.guard import continue_guarded

continue_guarded()
subprocess.Popen(["sleep", "600"])
orphan = subprocess.check_output(["sh", "-c", "setsid sleep 600 >/dev/null & echo $!"], text=True)
print(os.getpid(), orphan.strip(), flush=True)
sys.stdin.readline()
sys.exit(7)
"""
Guarded = tuple["subprocess.Popen[str]", psutil.Process, list[psutil.Process]]  # guard, program, all that it started


@contextmanager
def guarded(*before: str) -> Iterator[Guarded]:
    # under nohup the tests ignore SIGHUP, and what they start would, too
    command, pipe = ["env", "--default-signal=HUP", *before, sys.executable, "-c", PROGRAM], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=CLEAN, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as guard:
        assert guard.stdout
        program, orphan = (psutil.Process(int(pid)) for pid in guard.stdout.readline().split())
        started = [*program.children(recursive=True), orphan]
        try:
            yield guard, program, started
        finally:
            for process in (program, *started):
                if lives(process):
                    process.kill()


def test_the_status_is_that_of_the_program() -> None:
    """What the program left running when it ended by itself is killed."""
    with guarded() as (guard, _, started):
        assert guard.communicate("end\n", timeout=SECONDS) == ("", "")
        assert guard.returncode == 7
        assert not any(map(lives, started))
        assert len(started) == 2


def test_a_program_that_is_killed_takes_all_that_it_started_with_it() -> None:
    """kill -9 of the program: the guard kills the rest, says so and ends with the status that a shell expects."""
    with guarded() as (guard, program, started):
        program.kill()
        _, error = guard.communicate(timeout=SECONDS)
        assert guard.returncode == 128 + signal.SIGKILL
        assert error == f"error: process {program.pid} ended by signal 9; what it had started has been ended too\n"
        assert not any(map(lives, started))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on(number: signal.Signals) -> None:
    with guarded() as (guard, program, started):
        guard.send_signal(number)
        assert guard.wait(SECONDS) == 128 + number
        assert not any(map(lives, (program, *started)))


def test_nohup_is_passed_on_too() -> None:
    """What is started to outlast its terminal does."""
    with guarded("nohup") as (guard, program, _):
        guard.send_signal(signal.SIGHUP)
        assert guard.communicate("end\n", timeout=SECONDS) == ("", "")
        assert guard.returncode == 7
        assert not lives(program)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_a_guard_that_is_killed_ends_the_program() -> None:
    """The program gets SIGTERM, so that it can end what it started."""
    with guarded() as (guard, program, _):
        guard.kill()
        until(lambda: not lives(program))


def test_a_signal_before_the_program_began_is_not_lost() -> None:
    """Ctrl-C right after the start ends both."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, env=CLEAN, stdin=subprocess.PIPE) as guard:
        guard.terminate()
        assert guard.wait(SECONDS) in (-signal.SIGTERM, 128 + signal.SIGTERM)
