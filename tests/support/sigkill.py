"""Run the pipeline and die by SIGKILL at a numbered point: python -m tests.support.sigkill POINT ARGUMENTS...

A point is a moment before something under $PIPELINE_HOME is created, opened for writing, renamed or removed, as
Python's audit events report it (https://docs.python.org/3/library/audit_events.html): the pipeline needs no hook.
With POINT 0 the process lives and prints the number of points on its last line of standard error.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree", "sqlite3.connect", "open"}


def main(point: int, arguments: list[str]) -> int:
    home = str(Path(os.environ["PIPELINE_HOME"]).absolute())
    parent, reached = os.getpid(), 0

    def count(event: str, details: tuple[Any, ...]) -> None:
        nonlocal reached
        if event not in CHANGES or os.getpid() != parent or not any(home in str(part) for part in details[:2]):
            return
        if event == "open" and not (details[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        reached += 1
        if reached == point:
            os.kill(parent, signal.SIGKILL)

    from pipeline.cli.main import main as pipeline

    sys.addaudithook(count)
    status = pipeline(arguments)
    print(f"points: {reached}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
