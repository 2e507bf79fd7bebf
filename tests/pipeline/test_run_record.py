"""Records of runs: what a reader sees while a run lasts, after it ended and after it was killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.errors import ConfigError
from components.findings import Finding
from components.system.canonical import checked
from pipeline import known_files
from pipeline.home import Home
from pipeline.run_record import Done, RunRecord, RunRecorder, find, git_commit, load, new_run, records

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def recorder(home: Home, run: str, started: str = "2026-11-22T04:00:00Z") -> RunRecorder:
    return RunRecorder(home, RunRecord(run=run, started=started))


def test_a_record_is_read_back_as_it_was_written(home: Home) -> None:
    """`show` prints what the run recorded, the outcome of each stage and each finding included."""
    with recorder(home, "a") as kept:
        kept.record.state, kept.record.accuracy = "succeeded", 0.99
        kept.record.stages = [Done("train", "k", "d", "/artifacts/train/k", made=True, seconds=1.5)]
        kept.record.findings = {"evaluate": [Finding("warning", "few images")]}
        kept.record.model = {"name": "m", "version": "1", "aliases": ["champion"]}
        kept.save()
    assert load(home.runs / "a") == kept.record


def test_the_newest_run_comes_first_and_a_prefix_of_its_name_is_enough(home: Home) -> None:
    """`show` without a name shows the last run, with a prefix another one."""
    for run, started in (("20260101-x", "2026-01-01T00:00:00Z"), ("20260202-y", "2026-02-02T00:00:00Z")):
        with recorder(home, run, started):
            ...
    assert [r.run for r in records(home)] == ["20260202-y", "20260101-x"]
    assert find(home).run == "20260202-y"
    assert find(home, "202601").run == "20260101-x"


def counted_parses(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Each record that is parsed from now on."""
    parsed: list[bytes] = []

    def counting(text: bytes) -> dict[str, Any]:
        parsed.append(text)
        return checked(text)

    monkeypatch.setattr("pipeline.run_record.checked", counting)
    return parsed


@pytest.fixture
def two_old_runs(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Runs a and b, whose records have been read before."""
    monkeypatch.setattr(known_files, "SETTLED_NS", 0)
    for run in "ab":
        with recorder(home, run) as kept:
            kept.record.state, kept.record.accuracy = "succeeded", 0.5
            kept.save()
    records(home)
    return home


def test_a_record_that_did_not_change_is_not_parsed_again(two_old_runs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is new or was written again is parsed, and what is listed is the same."""
    before, parsed = records(two_old_runs), counted_parses(monkeypatch)
    assert records(two_old_runs) == before
    assert parsed == []
    with recorder(two_old_runs, "b") as kept:
        kept.record.state, kept.record.accuracy = "succeeded", 0.7
        kept.save()
    assert [(record.run, record.accuracy) for record in records(two_old_runs)] == [("b", 0.7), ("a", 0.5)]
    assert len(parsed) == 1


def test_a_record_that_changed_in_place_is_noticed(two_old_runs: Home) -> None:
    """With the same size, and the time of the last change restored: the system's own time of the change tells."""
    file = two_old_runs.runs / "a" / "run.json"
    status, text = file.stat(), file.read_text()
    file.write_text(text.replace('"accuracy": 0.5', '"accuracy": 0.6'))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert [record.run for record in records(two_old_runs)] == ["b"]  # its checksum does not match: it is set aside


DAMAGES = (
    lambda content: content[:-9],
    lambda content: b"",
    lambda content: content.replace(b"succeeded", b"succeedet"),
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_of_records_counts_as_empty(two_old_runs: Home, damage: Callable[[bytes], bytes]) -> None:
    """The records themselves are read again."""
    cache, before = two_old_runs.cache / "records.msgpack", records(two_old_runs)
    cache.write_bytes(damage(cache.read_bytes()))
    assert records(two_old_runs) == before


def test_deleted_runs_leave_the_cache_of_records(two_old_runs: Home) -> None:
    """It does not grow for ever."""
    shutil.rmtree(two_old_runs.runs / "a")
    assert [record.run for record in records(two_old_runs)] == ["b"]
    known = known_files.KnownFiles(two_old_runs.cache / "records.msgpack", RunRecord)
    assert known.names == {"b"}


def test_a_run_that_was_read_while_it_lived_is_killed_afterwards(two_old_runs: Home) -> None:
    """The record is the same, and the state is not."""
    with recorder(two_old_runs, "c"):
        assert find(two_old_runs, "c").state == find(two_old_runs, "c").state == "running"
    assert find(two_old_runs, "c").state == "killed"


def test_an_unknown_run_is_reported_in_a_sentence(home: Home) -> None:
    """It names the command that lists the runs, or the one that starts the first."""
    with pytest.raises(ConfigError, match="nothing has run yet: make pipeline"):
        find(home)
    with recorder(home, "a"):
        ...
    with pytest.raises(ConfigError, match="no run is called 'b'; python -m pipeline runs"):
        find(home, "b")


def test_the_beginning_of_several_names_is_ambiguous(home: Home) -> None:
    """`show 2026` must not pick one of a year's runs; a whole name is never ambiguous."""
    for run in ("2026", "20260101-x", "20260202-y"):
        with recorder(home, run):
            ...
    with pytest.raises(ConfigError, match=r"2 runs begin with '20260' \(20260202-y, 20260101-x\); give more"):
        find(home, "20260")
    assert find(home, "2026").run == "2026"


def test_a_run_whose_process_was_killed_says_so(home: Home) -> None:
    """While the process lives its run is running; after kill -9 it is killed, not running for ever."""
    script = f"""
import time; from pathlib import Path; from pipeline.home import Home
from tests.pipeline.test_run_record import recorder
with recorder(Home(Path({str(home.root)!r})), "a"):
    print("ready", flush=True); time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    assert find(home).state == "running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert find(home).state == "killed"


def test_a_second_process_of_a_run_says_that_it_waits_for_the_first(home: Home) -> None:
    """An Airflow retry while the lost task still computes must not hang without a line."""
    script = f"""
from pathlib import Path; from pipeline.home import Home
from tests.pipeline.test_run_record import recorder
recorder(Home(Path({str(home.root)!r})), "a")
"""
    with recorder(home, "a"):
        second = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert second.stderr
        line = second.stderr.readline()
        assert line == f"  waiting for run a, which process {os.getpid()} holds; Ctrl-C ends the waiting\n"
        assert second.poll() is None
    _, errors = second.communicate(timeout=60)
    assert (second.returncode, errors) == (0, "")


def test_a_record_of_an_earlier_version_is_read(home: Home) -> None:
    """Unknown keys are ignored, missing ones get their defaults."""
    (home.runs / "a").mkdir(parents=True)
    (home.runs / "a" / "run.json").write_text('{"run": "a", "started": "2026-01-01T00:00:00Z", "retired": 1}')
    assert (found := load(home.runs / "a"))
    assert (found.run, found.stages, found.state) == ("a", [], "killed")


def test_a_folder_without_a_record_is_ignored(home: Home) -> None:
    """A run killed before its first record does not break the list."""
    (home.runs / "empty").mkdir(parents=True)
    assert records(home) == []


@pytest.mark.parametrize("damage", ["half", "flip", "[" * 100_000, "", "[]", "\ufffd"], ids=lambda text: text[:5])
def test_a_damaged_record_is_reported_once_and_set_aside(
    home: Home, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One flipped letter is found by the checksum; the other runs are listed, the damaged file is kept beside."""
    for run in "ab":
        with recorder(home, run) as kept:
            kept.record.state, kept.record.accuracy = "succeeded", 0.95
            kept.save()
    file = home.runs / "a" / "run.json"
    text = file.read_text()
    damaged = {"half": text[: len(text) // 2], "flip": text.replace("0.95", "0.99")}.get(damage, damage)
    file.write_text(damaged)
    assert [record.run for record in records(home)] == ["b"]
    assert "the record of run a is damaged" in capsys.readouterr().err
    assert file.with_name("run.json.damaged").read_text() == damaged
    assert [record.run for record in records(home)] == ["b"]
    assert capsys.readouterr().err == ""


def test_an_infinite_setting_does_not_make_a_record_unreadable(home: Home) -> None:
    """JSON has no infinity; the record says so in a word."""
    with recorder(home, "a") as kept:
        kept.record.settings = {"gate.max_latency_ms": float("inf")}
        kept.save()
    assert find(home).settings == {"gate.max_latency_ms": "Infinity"}


def test_runs_of_one_second_keep_their_order() -> None:
    """A run with nothing to do takes half a second: two of them must not change places in the list."""
    names = []
    for _ in range(50):
        names.append(new_run())
        time.sleep(1e-4)  # names differ after 15 microseconds; no two processes start that close
    assert names == sorted(set(names))


def test_a_record_holds_neither_credentials_nor_what_no_reader_takes(home: Home) -> None:
    """A name that is no UTF-8 would make the whole record unreadable, and the run would vanish from the list."""
    with recorder(home, "a") as kept:
        kept.record.source, kept.record.error = "photos-\udce9", "no answer from http://user:secret@host/"
        kept.record.settings = {"ingest.mirror": "http://user:secret@host/", "train.epochs": 3}
        kept.record.findings = {"validate": [Finding("warning", "notes-\udce9.txt is no image")]}
        kept.save()
    text = (home.runs / "a" / "run.json").read_text()
    assert "secret" not in text
    found = load(home.runs / "a")
    assert found
    assert (found.source, found.error) == ("photos-\\xe9", "no answer from http://***@host/")
    assert found.settings == {"ingest.mirror": "http://***@host/", "train.epochs": 3}
    assert found.findings["validate"][0].text == "notes-\\xe9.txt is no image"


def test_an_installed_package_is_of_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment may lie in a repository of something else, whose commit says nothing of this code."""
    monkeypatch.setattr("pipeline.run_record.is_installed", lambda _: True)
    monkeypatch.setenv("PIPELINE_COMMIT", "")
    assert git_commit() == ""
    monkeypatch.setenv("PIPELINE_COMMIT", "4be1f0c")
    assert git_commit() == "4be1f0c"
