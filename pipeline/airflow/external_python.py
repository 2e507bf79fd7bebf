"""A command in a child process, such as a stage with the interpreter schedule.python and an environment of its own.

    standard output    its answer with --json, or the failure: {"error": "DataRejected", "text": ...}
    standard error     the log

A child that ends without an answer was killed or has a bug: Unavailable, a retry may succeed; but for exit status 2, of
arguments that the pipeline over there, of another version, does not know: ConfigError.
The child ends with the task: it gets SIGTERM when the task is ended, and when the task's process dies.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from components.errors import ConfigError, Unavailable
from components.progress import say
from components.registry.approval import Answer
from components.system.processes import Message, end_with_parent, raise_failure
from components.system.source_code import is_installed

ROOT = Path(__file__).parents[2]
SECONDS_TO_END = 20


class Child:
    """One command of the pipeline in a process of its own; `end` may be called from a signal handler."""

    def __init__(self, python: str) -> None:
        self.python = python
        self._process: subprocess.Popen[str] | None = None

    def stage(
        self,
        name: str,
        settings: Sequence[str],
        run: str,
        *,
        force: bool = False,
        ask: bool = False,
        answer: Answer | None = None,
    ) -> Message:
        """Run the stage *name*, its log in ours; returns the answer of `stage --json`, raises the child's Failure."""
        chosen = [part for setting in settings for part in ("--set", setting)]
        of_promote = [*["--ask"] * ask, *(["--answer", answer.written()] if answer else [])]
        return self.command("stage", name, "--run", run, *["--force"] * force, *of_promote, *chosen)

    def command(self, *words: str) -> Message:
        """Run the command that *words* are, its log in ours; returns its answer in JSON, raises the child's Failure."""
        status, answer = self.ended(*words)
        if status or not answer:
            kind = ConfigError if status == ConfigError.exit_code else Unavailable
            raise kind(f"{words[words[0] == 'stage']} ended with exit status {status}; see the log above")
        return answer

    def ended(self, *words: str) -> tuple[int, Message]:
        """The same for a command that answers whatever its exit status is: that, and the answer, {} without any."""
        command = [self.python, "-m", "pipeline", *words, "--json"]
        with tempfile.TemporaryFile("w+") as output:
            status = self._run(command, output)
            output.seek(0)
            answer = _parsed(output.read())
        raise_failure(answer)
        return status, answer

    def _run(self, command: Sequence[str], output: IO[str]) -> int:
        """The exit status; standard error goes to the log line by line."""
        self._process = self._start(command, output)
        try:
            assert self._process.stderr
            for line in self._process.stderr:
                say(line.rstrip("\n"))
            return self._process.wait()
        finally:
            self._reap()

    def _start(self, command: Sequence[str], output: IO[str]) -> "subprocess.Popen[str]":
        # An installed pipeline is in that environment too: this one's packages are none of its own
        checkout = "" if is_installed(Path(__file__)) else str(ROOT)
        path = os.pathsep.join(part for part in (checkout, os.environ.get("PYTHONPATH", "")) if part)
        try:
            return subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
                text=True,
                errors="replace",
                preexec_fn=end_with_parent,  # noqa: PLW1509 - the task's process has one thread that forks
            )
        except OSError as error:
            raise ConfigError(
                f"schedule.python is {self.python}, which cannot be started ({error.strerror}); expected the Python "
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


def _parsed(text: str) -> Message:
    """The JSON object that *text* is; an empty one where it is none, as of a child that was killed."""
    try:
        answer: Message = json.loads(text)
    except ValueError:
        return {}
    return answer
