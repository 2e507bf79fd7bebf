"""Runs commands in forks of a process that has imported all: python -m tests.faults.command_server FOLDER SECONDS.

A request and its answer are a line of JSON each, on standard input and output:

    {"arguments": ["run", ...], "home": "/tmp/h", "kill_after": null}      a command; killed so many seconds later
    {"function": "module:name", "arguments": [...], "home": "/tmp/h"}      a function of texts, for the fuzzers
    {"status": 0, "out": "...", "err": "...", "seconds": 0.7, "silent": false, "left": 0, "memory": 412000000}

`status` is that of subprocess (negative: a signal), `silent` whether it was killed because it said nothing for SECONDS,
`left` the number of its processes that had to be ended after it, `memory` the most bytes it held.
"""

import ctypes
import importlib
import json
import os
import pkgutil
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LIBRARIES = ("mlflow", "mlflow.keras", "mlflow.pyfunc", "matplotlib.figure", "matplotlib.backends.backend_agg")
LEFT_OUT = ("pipeline.airflow", "pipeline.compose", "pipeline.__main__")  # they are no command's
PAUSE = 0.01  # seconds between two looks at a command


def main() -> int:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _import_all()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    folder, silence = Path(sys.argv[1]), float(sys.argv[2])
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        request = json.loads(line)
        with (folder / "out").open("w+b") as out, (folder / "err").open("w+b") as err:
            started = time.monotonic()
            if not (process := os.fork()):
                return _perform(request, out, err)
            answers.write(json.dumps(_watch(process, request, out, err, started, silence)) + "\n")
            answers.flush()
    return 0


def prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _import_all() -> None:
    from components.system.tensorflow import tensorflow

    tensorflow()
    for name in LIBRARIES:
        importlib.import_module(name)
    for package in ("components", "pipeline"):
        for module in pkgutil.walk_packages([package], f"{package}."):
            if not module.name.startswith(LEFT_OUT):
                importlib.import_module(module.name)


def _perform(request: dict[str, Any], out: IO[bytes], err: IO[bytes]) -> int:
    """In the fork: the command, as a process of its own would run it."""
    os.setsid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for number, stream in ((0, None), (1, out), (2, err)):
        os.dup2(stream.fileno() if stream else os.open(os.devnull, os.O_RDONLY), number)
    os.environ["PIPELINE_HOME"] = request["home"]
    status = 1
    try:
        if "function" in request:
            module, name = request["function"].split(":")
            status = getattr(importlib.import_module(module), name)(*request["arguments"])
        else:
            from pipeline.cli.main import main as pipeline

            status = pipeline(request["arguments"])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # what the server holds is no part of the command


def _watch(
    process: int, request: dict[str, Any], out: IO[bytes], err: IO[bytes], started: float, silence: float
) -> dict[str, Any]:
    kill_at = started + request["kill_after"] if request.get("kill_after") is not None else None
    heard, size, is_silent = time.monotonic(), 0, False
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            break
        now, written = time.monotonic(), os.fstat(out.fileno()).st_size + os.fstat(err.fileno()).st_size
        if written != size:
            heard, size = now, written
        is_silent = now - heard > silence
        if is_silent or (kill_at is not None and now >= kill_at):
            with suppress(ProcessLookupError):  # it ended between the two calls
                os.killpg(process, signal.SIGKILL)
        time.sleep(PAUSE)
    seconds = time.monotonic() - started
    left = _end_orphans(silence)
    texts = {name: Path(file.name).read_text(errors="replace") for name, file in (("out", out), ("err", err))}
    code = os.waitstatus_to_exitcode(status)
    measured = {"seconds": seconds, "silent": is_silent, "left": left, "memory": usage.ru_maxrss * 1024}
    return {**texts, **measured, "status": code}


def _end_orphans(patience: float) -> int:
    """Wait for what a command started, which ends with it; the number of processes that did not."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                time.sleep(PAUSE)
        except ChildProcessError:
            return 0
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    for child in map(int, children):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return len(children)


if __name__ == "__main__":
    sys.exit(main())
