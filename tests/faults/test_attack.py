"""A sample of `make attack`, of another day's seed each day: every kind, a few attempts each."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from pipeline.graph import STAGES
from tests.conftest import CLEAN
from tests.faults import fuzz, hostile
from tests.faults.bench import DATABASE, Bench
from tests.faults.families import Damages, Family, Fuzz, Hostile, Kills, Points
from tests.faults.injector import MISSING, Injector, compiler

SEED = int(os.environ.get("FAULTS_SEED") or date.today().toordinal())  # printed, so that a failure can be repeated
POINTS = {DATABASE: 2, "ingest": 4, "validate": 4, "normalize": 4, "register": 2, "promote": 2}
DAMAGED = 8  # files

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD and /proc are of Linux"),
    pytest.mark.skipif(not compiler(), reason=MISSING),
]

# Writes a file of eight bytes in one call, and renames it.
WRITER = """
import os, sys
folder = sys.argv[1]
file = os.open(folder + "/draft", os.O_WRONLY | os.O_CREAT)
try:
    os.write(file, b"12345678")
    os.rename(folder + "/draft", folder + "/whole")
except OSError as error:
    sys.exit(error.strerror)
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A home before each stage, and a process with everything imported to run commands in."""
    with Bench(tmp_path_factory.mktemp("attack"), silence=120) as bench:  # a busy machine is no failure
        bench.prepare(*STAGES)
        yield bench


@pytest.mark.parametrize(
    ("point", "mode", "status", "said", "files"),
    [
        (2, "kill", -9, "", {"draft": b""}),
        (2, "torn", -9, "", {"draft": b"1234"}),
        (3, "torn", -9, "", {"whole": b"12345678"}),
        (2, "eio", 1, "Input/output error", {"draft": b""}),
        (3, "eio", 1, "Input/output error", {"draft": b"12345678"}),
        (1, "enospc", 1, "No space left on device", {}),
        (3, "enospc", 0, "", {"whole": b"12345678"}),  # to rename needs no space
        (4, "kill", 0, "", {"whole": b"12345678"}),  # there is no fourth call
    ],
)
def test_the_numbered_call_fails_as_its_mode_says(
    tmp_path: Path, point: int, mode: str, status: int, said: str, files: dict[str, bytes]
) -> None:
    """Of a process that creates, writes and renames a file: three calls."""
    home = tmp_path / "home"
    home.mkdir()
    injector = Injector(tmp_path, home)
    injector.arm(point, mode)
    done = subprocess.run(
        [sys.executable, "-c", WRITER, home],
        env={**CLEAN, **injector.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, {file.name: file.read_bytes() for file in home.iterdir()}) == (status, files)
    assert said in done.stderr
    assert bool(injector.hit) == (point <= 3)


def test_what_sqlite_writes_is_counted(bench: Bench) -> None:
    """In every stage that writes to MLflow's database, and when it is created."""
    for stage in (DATABASE, "train", "register", "promote"):
        assert any("mlflow.db" in path for call, path in bench.points[stage] if call == "pwrite64"), stage


def test_a_stage_makes_the_same_bytes_in_a_fork_as_by_itself(bench: Bench, finished: Path) -> None:
    """What the attack compares with is what a user's run makes; its exports name no commit."""
    made = _digests(finished)
    assert {stage for stage in STAGES if made[stage] != bench.digests[stage]} <= {"export"}


def test_after_a_fault_at_a_random_point_a_run_recovers(bench: Bench) -> None:
    """Killed, refused or torn: the next run ends in the artifacts and the one version of an undisturbed run."""
    for stage, count in POINTS.items():
        try_some(Points(stage, len(bench.points[stage])), bench, count)


def test_a_disk_that_is_full_before_the_database_is_created_is_a_sentence_at_once(bench: Bench) -> None:
    """MLflow by itself tries for minutes, without a word, to open a file that cannot be created."""
    point = next(n for n, (_, path) in enumerate(bench.points[DATABASE], 1) if path.endswith(".mlflow.db.draft"))
    bench.take(DATABASE)
    bench.injector.arm(point, "enospc")
    done = bench.run_stage(DATABASE)
    bench.injector.disarm()
    assert (done.problem(1), "is full" in done.err) == ("", True)
    assert done.seconds < 60


def test_after_kills_at_random_moments_a_run_recovers(bench: Bench) -> None:
    """Up to six in one home."""
    try_some(Kills(), bench, 1)


def test_a_damaged_file_is_noticed_or_made_again(bench: Bench) -> None:
    """A bit flipped, cut off or deleted."""
    try_some(Damages(bench), bench, DAMAGED)


def test_an_input_changed_at_random_is_read_or_refused(bench: Bench) -> None:
    """Of every kind; never a traceback, a hang, or 300 MB."""
    for target in fuzz.TARGETS:
        try_some(Fuzz(target), bench, 1)


def test_a_hostile_server_is_answered_with_a_sentence(bench: Bench) -> None:
    """A mirror, a bucket and a registry; never a traceback, a hang, 300 MB, wrong bytes, or a file elsewhere."""
    for target in hostile.TARGETS:
        try_some(Hostile(target), bench, 1)


def try_some(family: Family, bench: Bench, count: int) -> None:
    print(f"FAULTS_SEED={SEED}: {count} of {family.kind}")
    for number in itertools.islice(family.numbers(SEED), count):
        failures = family.attempt(bench, SEED, number).failures
        assert not failures, (
            f"python -m tests.faults --seed {SEED} --kind {family.kind!r} --number {number}: {failures}"
        )


def _digests(home: Path) -> dict[str, str]:
    from pipeline.home import Home
    from pipeline.run_record import find

    return {done.stage: done.digest for done in find(Home(home)).stages}
