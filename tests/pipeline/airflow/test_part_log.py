"""The logs of Airflow's parts: appended, bounded, and their last words."""

import os
from pathlib import Path

import pytest

from pipeline.airflow.standalone import part_log
from pipeline.airflow.standalone.part_log import KEPT, PartLog

# As Airflow's scheduler writes it while it runs tasks; the times of a task's own process have another form.
SCHEDULER = """\
2026-11-26T08:40:01.225037Z [info     ] creating dag run               [airflow.serialization.dag] loc=dag.py:615
2026-11-26T08:40:17.421085Z [error    ] Exception when executing       [airflow.jobs.scheduler_job_runner] loc=a.py:1
Traceback (most recent call last):
  File "a.py", line 1, in a
sqlalchemy.orm.exc.ObjectDeletedError: Instance '<DagRun>' has been deleted
2026-11-26T08:40:18.235272Z [info     ]   epoch 3/8 val_loss 0.1       [task.stdout]
2026-11-26T08:40:18.335272Z [error    ] a warning of a library         [task.stderr]
2026-11-26 08:40:19.142939+00:00 [error    ] Task failed                [task] dag_id=retrain
Traceback (most recent call last):
httpx.ConnectError: [Errno 111] Connection refused
2026-11-26T08:40:20.931852Z [info     ] Workload finished              [supervisor] duration=8.4 exit_code=0
"""


@pytest.fixture
def log(tmp_path: Path) -> PartLog:
    return PartLog(tmp_path / "logs" / "scheduler.log")


def write(log: PartLog, text: str) -> None:
    """One start of the part, which prints *text*."""
    with log.opened() as stream:
        stream.write(text.encode())


def test_the_last_words_are_those_of_the_part(log: PartLog) -> None:
    """Neither what a task printed or logged, its traceback included, nor what is said of it."""
    write(log, SCHEDULER)
    assert log.last_words(lines=1) == "sqlalchemy.orm.exc.ObjectDeletedError: Instance '<DagRun>' has been deleted"
    assert log.last_words(lines=3).startswith("Traceback")
    assert log.last_words().count("\n") == 4


def test_the_last_words_are_those_of_the_last_start(log: PartLog) -> None:
    """What an earlier process of the part printed stays in the log, and is no reason for the end of this one."""
    write(log, "earlier\n")
    write(log, "")
    assert log.last_words() == "it printed nothing"
    write(log, "later\n\n")
    assert log.last_words() == "later"


def test_last_words_that_are_long_are_cut(log: PartLog) -> None:
    """A line of the terminal, whatever a library prints; bytes that are no text do not matter."""
    with log.opened() as stream:
        stream.write(b"x" * 10_000 + b"\n\xff\n")
    assert log.last_words() == "x" * part_log.LONGEST_LINE + "\n\N{REPLACEMENT CHARACTER}"


def test_a_log_is_appended_to(log: PartLog, tmp_path: Path) -> None:
    write(log, "one\n")
    write(log, "two\n")
    assert (tmp_path / "logs" / "scheduler.log").read_text() == "one\ntwo\n"


def test_five_files_of_bounded_size_are_kept(log: PartLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest in the file of the part, the others numbered by age; each can be read by its owner alone."""
    monkeypatch.setattr(part_log, "LARGEST", 4)
    for number in range(KEPT + 2):
        write(log, f"start {number}\n")
    found = {path.name: path for path in (tmp_path / "logs").iterdir()}
    assert found.keys() == {"scheduler.log", *(f"scheduler.log.{number}" for number in range(1, KEPT))}
    assert found["scheduler.log"].read_text() == "start 6\n"
    assert found["scheduler.log.1"].read_text() == "start 5\n"
    assert found["scheduler.log.4"].read_text() == "start 2\n"
    assert {path.stat().st_mode & 0o777 for path in found.values()} == {0o600}


def test_a_running_part_writes_on_into_the_emptied_file(
    log: PartLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that runs for months fills no disk: its log is put aside while it has it open."""
    monkeypatch.setattr(part_log, "LARGEST", 4)
    with log.opened() as stream:
        os.write(stream.fileno(), b"before\n")
        log.rotate()
        os.write(stream.fileno(), b"after\n")
    assert (tmp_path / "logs" / "scheduler.log").read_bytes() == b"after\n"
    assert (tmp_path / "logs" / "scheduler.log.1").read_bytes() == b"before\n"
    assert log.last_words() == "after"
