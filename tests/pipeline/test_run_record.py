"""Records of runs: what a reader sees of one that goes on, one that ended and one that was killed."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.errors import ConfigError
from pipeline.home import Home
from pipeline.run_record import RunRecord, RunRecorder, find, load, new_run, records

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def journal(home: Home, run: str, started: str = "2026-11-22T04:00:00Z") -> RunRecorder:
    return RunRecorder(home, RunRecord(run=run, started=started))


def test_a_record_is_read_back_as_it_was_written(home: Home) -> None:
    """What a run notes is what `show` tells."""
    with journal(home, "a") as kept:
        kept.record.state, kept.record.accuracy = "succeeded", 0.99
        kept.save()
    assert load(home.runs / "a") == kept.record


def test_the_newest_run_comes_first_and_is_found_by_the_first_letters_of_its_name(home: Home) -> None:
    """`show` without a name is the last run; a few letters are enough for another."""
    for run, started in (("20260101-x", "2026-01-01T00:00:00Z"), ("20260202-y", "2026-02-02T00:00:00Z")):
        with journal(home, run, started):
            ...
    assert [r.run for r in records(home)] == ["20260202-y", "20260101-x"]
    assert find(home).run == "20260202-y"
    assert find(home, "202601").run == "20260101-x"


def test_a_run_that_is_not_there_is_told_in_a_sentence(home: Home) -> None:
    """With the command that lists them, or the one that makes the first."""
    with pytest.raises(ConfigError, match="nothing has run yet: make pipeline"):
        find(home)
    with journal(home, "a"):
        ...
    with pytest.raises(ConfigError, match="no run is called 'b'; python -m pipeline runs"):
        find(home, "b")


def test_the_beginning_of_several_names_is_ambiguous(home: Home) -> None:
    """`show 2026` must not pick one of a year's runs; a whole name is never ambiguous."""
    for run in ("2026", "20260101-x", "20260202-y"):
        with journal(home, run):
            ...
    with pytest.raises(ConfigError, match=r"2 runs begin with '20260' \(20260202-y, 20260101-x\); give more"):
        find(home, "20260")
    assert find(home, "2026").run == "2026"


def test_a_run_whose_process_was_killed_says_so(home: Home) -> None:
    """While the process lives its run is running; after kill -9 it is killed, not running for ever."""
    script = f"""
import time; from pathlib import Path; from pipeline.home import Home
from tests.pipeline.test_run_record import journal
kept = journal(Home(Path({str(home.root)!r})), "a"); print("ready", flush=True); time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    assert find(home).state == "running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert find(home).state == "killed"


def test_a_folder_without_a_readable_record_is_no_run(home: Home) -> None:
    """A run killed before its first note, or a file put there by hand, does not spoil the list."""
    (home.runs / "empty").mkdir(parents=True)
    (home.runs / "broken").mkdir()
    (home.runs / "broken" / "run.json").write_text("{")
    assert records(home) == []


def test_runs_of_one_second_keep_their_order() -> None:
    """A run with nothing to do takes half a second: two of them must not change places in the list."""
    names = []
    for _ in range(50):
        names.append(new_run())
        time.sleep(1e-4)  # no two processes start within the 15 microseconds that a name can tell apart
    assert names == sorted(set(names))
