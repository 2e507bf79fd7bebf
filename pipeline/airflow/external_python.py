"""A stage as a child process of an interpreter of choice (PIPELINE_PYTHON), for tasks that need another environment.

    exit status 2, 3, 4    the same run would fail in the same way: PipelineError
    any other but 0        a retry may cure it: Unavailable

The child ends with the task: it is sent SIGTERM when the task is ended, and by the system when the task's process dies
(Linux: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html).
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from components.errors import DataRejected, ModelRejected, PipelineError, SourceError, Unavailable
from components.progress import say

ROOT = Path(__file__).parents[2]
FAIL_NOW: dict[int, type[PipelineError]] = {2: SourceError, 3: DataRejected, 4: ModelRejected}
SECONDS_TO_END = 20
PR_SET_PDEATHSIG = 1


class Child:
    """One stage in a process of its own; `end` may be called from a signal handler."""

    def __init__(self, python: str) -> None:
        self.python = python
        self._process: subprocess.Popen[str] | None = None

    def stage(self, name: str, settings: Sequence[str], run: str) -> dict[str, Any]:
        """Run the stage *name* and pass on what it says; returns the answer of `stage --json`."""
        chosen = [part for setting in settings for part in ("--set", setting)]
        command = [self.python, "-m", "pipeline", "stage", name, "--json", "--run", run, *chosen]
        with tempfile.TemporaryFile("w+") as answer:
            status, told = self._run(command, answer)
            if status == 0:
                answer.seek(0)
                found: dict[str, Any] = json.load(answer)
                return found
        sentence = "\n".join(told) or f"{name} ended with exit status {status}; the log above tells more"
        raise FAIL_NOW.get(status, Unavailable)(sentence)

    def _run(self, command: Sequence[str], answer: IO[str]) -> tuple[int, list[str]]:
        """The exit status, and the sentences of the failure."""
        told = []
        self._process = self._start(command, answer)
        try:
            assert self._process.stderr
            for line in self._process.stderr:
                say(line.rstrip("\n"))
                if line.startswith("error: "):
                    told.append(line.removeprefix("error: ").rstrip("\n"))
            return self._process.wait(), told
        finally:
            self._reap()

    def _start(self, command: Sequence[str], answer: IO[str]) -> "subprocess.Popen[str]":
        path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
        try:
            return subprocess.Popen(
                command,
                stdout=answer,
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
                text=True,
                errors="replace",
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - the task's process has one thread that forks
            )
        except OSError as error:
            raise SourceError(
                f"PIPELINE_PYTHON is {self.python}, which cannot be started ({error.strerror}); expected the Python "
                "of an environment made from requirements.lock, such as .venv/bin/python"
            ) from None

    def end(self) -> None:
        if self._process:
            self._process.terminate()

    def _reap(self) -> None:
        """Leave no process behind, whichever way the task ends."""
        assert self._process
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        assert self._process.stderr
        self._process.stderr.close()
        self._process = None


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
