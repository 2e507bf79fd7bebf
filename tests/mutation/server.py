"""Runs the same tests again and again, each time in a fork of a process that has imported what they need.

    python -m tests.mutation.server SOCKET MODULE SHORTEST PYTEST-ARGUMENT...

Runs the tests of MODULE once, imports the libraries that they imported, runs them once more, and prints a line of JSON:
{"problem": "" or what the tests print, "seconds": of the second run}. From then on each connection to SOCKET
(tests/mutation/client.py) runs them with the MODULE of that moment, and is answered by their exit status, in one byte.
Tests that take SLOWER times as long are ended, though never before SHORTEST seconds.
"""

import contextlib
import gc
import importlib
import json
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

SLOWER = 10  # times as long as without a mutation: an endless loop
KILLED = 99  # the status of tests that were ended
FORK = multiprocessing.get_context("fork")
# not imported before the fork: TensorFlow, as a fork of its threads may stand still, and the project, which changes
NOT_BEFORE = {"tensorflow", "keras", "__main__", *(path.stem for path in Path().iterdir())}


class TestRun:
    """The tests of *module* with the *arguments* of pytest, below the folder *scratch*."""

    __test__ = False

    def __init__(self, module: Path, arguments: Sequence[str], scratch: Path) -> None:
        self._module, self.output, self._imported = module, scratch / "output", scratch / "imported"
        self._arguments = [*arguments, f"--basetemp={scratch / 'tests'}", "-Wignore::pytest.PytestAssertRewriteWarning"]

    def imported(self) -> tuple[int, list[str]]:
        """The status of the tests, and the libraries that they import; compiles all that they import."""
        status = self._status(self._run_and_list, None)
        return status, self._imported.read_text().split() if status == 0 else []

    def status(self, seconds: float | None) -> int:
        """The status of the tests; KILLED after so many *seconds*."""
        for compiled in (self._module.parent / "__pycache__").glob(f"{self._module.stem}.*.pyc"):
            compiled.unlink()  # of a mutation made within the second of this one, and as long
        sys.dont_write_bytecode = True
        return self._status(self._run, seconds)

    def _status(self, run: Callable[[], int], seconds: float | None) -> int:
        os.environ["PYTEST_XDIST_WORKER"] = "gw0"  # whose fixtures of a session are those of all workers: made once
        process = FORK.Process(target=self._child, args=(run,))
        process.start()
        process.join(seconds)
        status = process.exitcode
        assert process.pid
        with contextlib.suppress(ProcessLookupError):  # they left no process behind
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
        return KILLED if status is None or status < 0 else status

    def _child(self, run: Callable[[], int]) -> None:
        os.setsid()
        output = os.open(self.output, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(output, stream)
        os._exit(run())

    def _run(self) -> int:
        return int(pytest.main(self._arguments))

    def _run_and_list(self) -> int:
        before, status = set(sys.modules), self._run()
        names = (name for name in sys.modules.keys() - before if name.partition(".")[0] not in NOT_BEFORE)
        self._imported.write_text("\n".join(sorted(names)))
        return status


def import_all(names: Sequence[str]) -> None:
    """Import the modules *names*, which other modules may have made, or refused."""
    with warnings.catch_warnings(action="ignore"):
        for name in names:
            with contextlib.suppress(Exception):  # the tests import it themselves, in their order
                importlib.import_module(name)
    gc.freeze()


def serve(listener: socket.socket, tests: TestRun, seconds: float) -> None:
    while True:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(BrokenPipeError):
            connection.sendall(bytes([tests.status(seconds)]))


def main(address: str, module: str, shortest: str, *arguments: str) -> int:
    with tempfile.TemporaryDirectory() as scratch, socket.socket(socket.AF_UNIX) as listener:
        tests = TestRun(Path(module), arguments, Path(scratch))
        status, names = tests.imported()
        import_all(names)
        started = time.monotonic()
        status = status or tests.status(None)
        seconds = time.monotonic() - started
        listener.bind(address)
        listener.listen()
        problem = tests.output.read_text(errors="replace")[-1000:] if status else ""
        if unwanted := {name.partition(".")[0] for name in sys.modules} & (NOT_BEFORE - {"__main__", "tests"}):
            problem += f"{', '.join(sorted(unwanted))} imported before the fork"
        print(json.dumps({"problem": problem, "seconds": seconds}), flush=True)
        if not status:
            serve(listener, tests, max(float(shortest), SLOWER * seconds))
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
