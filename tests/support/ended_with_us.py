"""Servers that end with the tests, however those end: by Ctrl-C, by a crash, by kill -9.

    tests  ->  supervisor  ->  command  ->  everything that it starts, daemons too
               python ended_with_us.py [--user NAME] [--then SHELL-COMMAND] PID COMMAND...

The supervisor passes signals on and ends with the status of the command. Once the process PID, the tests, has gone, it
kills the command with all its descendants and runs SHELL-COMMAND. On Linux a descendant that outlives its parent falls
to the supervisor (PR_SET_CHILD_SUBREAPER), so neither a session of its own nor a double fork saves it.

The command has a short temporary folder of its own ($TMPDIR), which goes with it. What it leaves running when it ends
by itself is killed too, and is an error: the status is then LEFT_BEHIND.
"""

import argparse
import ctypes
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

LEFT_BEHIND = 70
SECONDS = 0.5  # between two looks at the process of the tests
GRACE = 1.0  # seconds for the helpers of a command that has ended, to end too
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def start(command: Sequence[str], *, user: str = "", then: str = "", **options: Any) -> "subprocess.Popen[Any]":
    """Start *command* under a supervisor, as *user* where one is named; *options* are those of Popen.

    Where the tests end before the command, the shell command *then* is run after it. The session is its own: Ctrl-C
    is for the tests, which then end what they started.
    """
    return subprocess.Popen(supervised(command, user=user, then=then), start_new_session=True, **options)


def supervised(command: Sequence[str], *, user: str = "", then: str = "") -> list[str]:
    """The command line of *command* under a supervisor."""
    options = [*(["--user", user] if user else []), *(["--then", then] if then else [])]
    return [sys.executable, str(Path(__file__)), *options, str(os.getpid()), *command]


class Supervisor:
    """One command and all its descendants."""

    def __init__(self, command: Sequence[str], user: str, temporary: Path) -> None:
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._status: int | None = None
        self._woken = _wakeup()
        self._early: list[int] = []  # signals that came before there was a command to pass them on to
        for number in PASSED_ON:
            signal.signal(number, lambda number, _: self._early.append(number))
        self._child = subprocess.Popen(
            command,
            env={**os.environ, "TMPDIR": str(temporary)},
            start_new_session=True,
            preexec_fn=_killed_with_parent,  # noqa: PLW1509 - no threads
            **_as(user),
        )
        for number in PASSED_ON:
            signal.signal(number, self._pass_on)
        for early in self._early:
            self._pass_on(early, None)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        if self._status is None:
            os.kill(self._child.pid, number)

    def watch(self, pid: int) -> int:
        """Wait until the command has ended, or its starter *pid* has; returns the exit status, as a shell tells it."""
        while self._status is None and os.getppid() == pid:
            select.select([self._woken], [], [], SECONDS)
            _drain(self._woken)
            self._reap()
        left = _kill_descendants(GRACE if self._status is not None else 0)
        if left and self._status is not None:
            print(f"{self._child.args!r} left behind: {', '.join(left)}", file=sys.stderr)
            return LEFT_BEHIND
        return 1 if self._status is None else self._status if self._status >= 0 else 128 - self._status

    def _reap(self) -> None:
        """Take the status of every child that has ended, adopted ones too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._child.pid:
                self._status = os.waitstatus_to_exitcode(status)


def _wakeup() -> int:
    """A descriptor that is readable after a signal, as of a child that ended."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _drain(descriptor: int) -> None:
    try:
        os.read(descriptor, 4096)
    except BlockingIOError:
        return


def _kill_descendants(grace: float) -> list[str]:
    """Kill every descendant that is alive after *grace* seconds, until there is none; returns what they were."""
    import psutil

    def living() -> list[psutil.Process]:
        return [process for process in psutil.Process().children(recursive=True) if name(process)]

    def name(process: psutil.Process) -> str:
        """Its command line; "" where it has ended."""
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                return " ".join(process.cmdline()) or process.name()
        return ""

    psutil.wait_procs(living(), grace)
    killed: dict[int, str] = {}
    while left := living():
        killed |= {process.pid: name(process) for process in left}
        for process in left:
            process.kill()
        psutil.wait_procs(left, 1)
    return list(killed.values())


def _killed_with_parent() -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def _as(user: str) -> dict[str, Any]:
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user", default="")
    parser.add_argument("--then", default="")
    parser.add_argument("pid", type=int)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    temporary = Path(tempfile.mkdtemp(prefix="tests-"))
    if options.user:
        shutil.chown(temporary, options.user)
    try:
        return Supervisor(options.command, options.user, temporary).watch(options.pid)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if options.then and os.getppid() != options.pid:
            subprocess.run(options.then, shell=True, check=False)  # noqa: S602 - the tests' own command


if __name__ == "__main__":
    sys.exit(main())
