"""Standard streams that are closed, full or left by their reader: work goes on, an answer that is lost is reported."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CLEAN, ROOT

PROGRAM = """\
import sys
from components.progress import progress, say
from components.system.streams import answer, open_streams, settle_streams
open_streams()
with open(sys.argv[1], "w") as file:
    assert file.fileno() > 2, "the number of a stream"
    say("a line of progress")
    with progress("work", 2) as advance:
        advance(1)
    try:
        answer("name-\\udce9")
    except Exception as error:
        say(f"error: {error}")
    settle_streams()
"""


def program(tmp_path: Path, streams: str) -> "subprocess.CompletedProcess[str]":
    """A program that reports progress and answers, its streams as the shell's words *streams* say."""
    line = f'exec "$PYTHON" -c "$PROGRAM" {tmp_path / "file"} {streams}'
    environment = CLEAN | {"PYTHON": sys.executable, "PROGRAM": PROGRAM}
    return subprocess.run(
        ["sh", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("streams", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full", "<&-", "2>&1 >/dev/null"])
def test_a_stream_that_is_closed_or_full_ends_no_work(tmp_path: Path, streams: str) -> None:
    """No file that is opened gets the number of a stream, and progress never lands in the answer."""
    done = program(tmp_path, streams)
    assert done.returncode == 0, done.stderr
    if ">&-" not in streams.replace("2>&-", "") and "2>&1" not in streams:
        assert done.stdout == "name-\\xe9\n"


def test_an_answer_that_a_full_disk_does_not_take_is_told(tmp_path: Path) -> None:
    """In one sentence, and the interpreter does not fail at its exit."""
    done = program(tmp_path, ">/dev/full")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "a line of progress",
        "error: the answer cannot be written to standard output (No space left on device)",
    ]
