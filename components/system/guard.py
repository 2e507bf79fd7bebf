"""The guard of a process: when that has ended, however it did, the guard kills everything that it started.

    python -m components.system.guard PID     started by the process itself: `continue_guarded`

    make, a shell or a service manager  ->  guard  ->  process PID  ->  everything that it starts

The guard passes signals on and ends with the status of the process. If the guard is killed itself, the process gets
SIGTERM (Linux).
"""

import os
import signal
import sys

from components.progress import say
from components.system.descendants import adopt_orphans, ending, kill_children
from components.system.processes import end_with_parent

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def continue_guarded() -> None:
    """Return in a child of this process, which becomes the guard; to be called before anything else is done."""
    adopt_orphans()  # this and the signal mask outlast the exec
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    if child := os.fork():
        os.execv(sys.executable, [sys.executable, "-m", "components.system.guard", str(child)])  # noqa: S606
    end_with_parent()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)


def main(pid: int) -> int:
    """Wait for the child *pid*; returns its exit status, as a shell has it."""
    for number in PASSED_ON:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as after `nohup`
            signal.signal(number, lambda number, _: os.kill(pid, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    status = _wait(pid)
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    kill_children()
    if status < 0 and -status not in PASSED_ON:
        say(f"error: process {pid} {ending(status)}; what it had started has been ended too")
    return status if status >= 0 else 128 - status


def _wait(pid: int) -> int:
    """The exit status of *pid*, waited for; orphans that end meanwhile are reaped."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
