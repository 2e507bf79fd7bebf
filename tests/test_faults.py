"""Faults that a run withstands: kill -9 anywhere, two runs at once, a full disk, Ctrl-C."""

import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest

from components.system.processes import end_with_parent
from pipeline.graph import STAGES
from pipeline.store.local import Store
from tests.conftest import CLEAN, QUICK, ROOT, command, quick_run
from tests.support.small_disk import disk

SETTINGS = [part for setting in QUICK for part in ("--set", setting)]
RUN = ["run", "--json", "--source", "digits", *SETTINGS]
DATA_STAGES = [*RUN, "--until", "normalize"]
SEED = int(os.environ.get("FAULTS_SEED") or date.today().toordinal())  # printed, so that a failure can be repeated
EIGHTH = 8  # of the points of the data stages are tried in a run of the tests, another one each day
KILLS, DELAY = 4, 3.0  # seconds at most between the end of a stage and the kill


def killed_at(point: int, home: Path, arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.support.sigkill", str(point), *arguments],
        cwd=ROOT,
        env={**CLEAN, "PIPELINE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def start(home: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *(arguments or RUN)],
        cwd=ROOT,
        env={**CLEAN, "PIPELINE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - sets one flag of the child
    )


def killed_after(done: int, seconds: float, home: Path) -> str:
    """Kill a run so many *seconds* after *done* of its stages ended; the stage that it was in, "" where it was over."""
    process = start(home)
    assert process.stderr
    for line in process.stderr if done else ():
        if line.startswith(f"[{done}/{len(STAGES)}]"):
            break
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.kill()
    process.communicate()
    return list(STAGES)[done] if process.returncode == -signal.SIGKILL else ""


def assert_complete(home: Path) -> None:
    """Every artifact is complete."""
    store = Store(home / "artifacts")
    for stage, key in store.list():
        artifact = store.get(stage, key)
        assert artifact
        store.verify(artifact)


def digests(answer: dict[str, object]) -> dict[str, str]:
    return {stage["stage"]: stage["digest"] for stage in answer["stages"]}  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def undisturbed(finished: Path) -> dict[str, str]:
    """Stage -> digest of an undisturbed run."""
    return digests(json.loads(command(finished, "show", "--json").stdout))


def test_killed_at_numbered_points_of_the_data_stages_a_run_resumes_to_the_same_artifacts(
    tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    """Killed before every eighth change on disk: every store in between is complete, and the next run ends with the
    bytes of an undisturbed one."""
    points = int(re.findall(r"points: (\d+)", killed_at(0, tmp_path / "count", DATA_STAGES).stderr)[-1])
    assert points > 40
    first = 1 + SEED % EIGHTH
    print(f"FAULTS_SEED={SEED}: points {first}, {first + EIGHTH}, ... of {points}")
    for point in range(first, points + 1, EIGHTH):
        home = tmp_path / str(point)
        assert killed_at(point, home, DATA_STAGES).returncode == -signal.SIGKILL
        if (home / "artifacts").exists():
            assert_complete(home)
        done = command(home, *DATA_STAGES)
        assert done.returncode == 0, done.stderr
        assert digests(json.loads(done.stdout)).items() <= undisturbed.items()
        assert not list((home / "artifacts").glob("*/.draft-*"))


def test_killed_again_and_again_a_run_ends_in_the_same_artifacts_and_one_version(
    tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    """In one home, run after run is killed at later points, through training, registration, export and promotion, until
    one finishes."""
    home = tmp_path / "home"
    deaths = 0
    for point in itertools.chain([60], itertools.count(20, 9)):
        died = killed_at(point, home, RUN)
        assert_complete(home)
        if died.returncode == 0:
            break
        assert died.returncode == -signal.SIGKILL, died.stderr
        deaths += 1
    assert deaths >= 5
    assert digests(quick_run(home)) == undisturbed
    assert [v["version"] for v in json.loads(command(home, "models", "--json").stdout)] == ["1"]


def test_killed_at_random_times_a_run_ends_in_the_same_artifacts_and_one_version(
    tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    """Also within computations, within files that libraries write and within transactions of MLflow's database: each
    time a while after another stage has ended."""
    home, rng = tmp_path / "home", random.Random(SEED)
    moments = [(done, rng.uniform(0, DELAY)) for done in sorted(rng.sample(range(len(STAGES)), KILLS))]
    print(f"FAULTS_SEED={SEED}: (stages done, seconds until the kill) {moments}")
    hits = []
    for done, seconds in moments:
        hits.append(killed_after(done, seconds, home))
        if (home / "artifacts").exists():
            assert_complete(home)
    print(f"killed in: {', '.join(filter(None, hits))}")
    assert len([*filter(None, hits)]) >= KILLS - 1, hits  # the last stages may end before the kill
    assert digests(quick_run(home)) == undisturbed
    assert [v["version"] for v in json.loads(command(home, "models", "--json").stdout)] == ["1"]


def test_two_runs_at_once_make_each_artifact_once_and_one_version(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    """Started together on an empty home: one makes each artifact, the other waits and reuses it, and both succeed."""
    both = [start(tmp_path), start(tmp_path)]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    answers = [json.loads(out) for out, _ in outputs]
    assert [digests(answer) for answer in answers] == [undisturbed, undisturbed]
    for first, second in zip(answers[0]["stages"], answers[1]["stages"], strict=True):
        assert first["made"] + second["made"] == 1, first["stage"]
    assert [v["version"] for v in json.loads(command(tmp_path, "models", "--json").stdout)] == ["1"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_draft(tmp_path: Path, number: int) -> None:
    """SIGINT and SIGTERM: the status that a shell expects, one sentence, no draft."""
    process = start(tmp_path, "run", "--source", "digits")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "work").glob("train-*")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number, err
    assert err.strip().endswith("interrupted: finished work is kept; run the same command again to resume")
    assert "Traceback" not in err
    assert not list((tmp_path / "artifacts").glob("*/.draft-*"))
    assert json.loads(command(tmp_path, "show", "--json").stdout)["state"] == "interrupted"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    with disk(tmp_path / "small", "2m") as folder:
        yield folder


def test_a_full_disk_is_reported_in_a_sentence_and_nothing_is_half_published(small_disk: Path) -> None:
    """Finished stages are kept; the one that did not fit leaves no trace."""
    done = command(small_disk / "home", "run", "--source", "digits", "--set", "train.epochs=1")
    assert done.returncode == 1
    assert "is full; free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert_complete(small_disk / "home")
    assert not list((small_disk / "home" / "artifacts").glob("*/.draft-*"))


def test_a_folder_that_cannot_be_written_is_reported_in_a_sentence(tmp_path: Path) -> None:
    """PIPELINE_HOME inside a file."""
    (tmp_path / "file").write_text("")
    done = command(tmp_path / "file" / "home", "run", "--source", "digits")
    assert done.returncode == 1
    assert re.fullmatch(r"(?s).*error: cannot use .*PIPELINE_HOME[^\n]*\n", done.stderr)
    assert "Traceback" not in done.stderr
