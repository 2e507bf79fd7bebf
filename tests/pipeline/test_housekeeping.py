"""Housekeeping: what is old, what is kept all the same, and how long the disk lasts."""

import json
import time
from itertools import pairwise
from pathlib import Path

import pytest

from components.registry.client import Registry
from components.registry.model_version import MODEL_SHA256_TAG, ModelVersion
from components.registry.promotion_log import Action, Champion, append, promotion
from pipeline import garbage, housekeeping
from pipeline.home import Home
from pipeline.housekeeping import DAY, WEEK, Disk
from pipeline.mlflow_run import RUN_TAG
from pipeline.run_record import RunRecord, RunRecorder
from tests.pipeline.test_garbage import aged


class Known(Registry):
    """A registry that has these versions."""

    def __init__(self, home: Home, *versions: ModelVersion) -> None:
        super().__init__(home.tracking_uri)
        self._known = versions

    def names(self) -> list[str]:
        return sorted({version.name for version in self._known})

    def versions(self, name: str) -> list[ModelVersion]:
        return [version for version in self._known if version.name == name]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    home = Home(tmp_path)
    home.prepare()
    return home


def version(number: int, *aliases: str) -> ModelVersion:
    """A version that the run NUMBER registered."""
    return ModelVersion("pets", str(number), aliases, {MODEL_SHA256_TAG: f"sha{number}", RUN_TAG: str(number)})


def ran(home: Home, *names: str, days: float) -> None:
    """Runs that ended so many *days* ago."""
    for name in names:
        with RunRecorder(home, RunRecord(name, f"2026-01-01T00:00:{int(name):02}Z", state="succeeded")) as recorder:
            files = [recorder.folder / "run.json", recorder.folder / ".alive", recorder.folder]
        for file in files:
            aged(file, days * 24)


def collected(home: Home, *versions: ModelVersion, keep_runs: int = 0, days: float = 90) -> set[str]:
    """The names of what is deleted as old; it is gone, and everything else is there."""
    registry, before = Known(home, *versions), set(home.root.rglob("*"))
    waste = housekeeping.find(home, registry, keep_runs, days)
    assert set(home.root.rglob("*")) == before
    went = housekeeping.collect(home, registry, waste, days)
    below = {path for path in before if any(path.is_relative_to(old) for old in went.old)}
    assert set(home.root.rglob("*")) - {home.root / "artifacts" / ".leases"} == before - below
    return {path.name for path in went.old}


def test_old_runs_go_but_the_last_ones_and_those_of_versions_that_are_needed(home: Home) -> None:
    """Of the champion, the challenger, and a champion that can be restored; young ones stay anyway."""
    ran(home, *map(str, range(1, 8)), days=100)
    ran(home, "8", days=80)
    before = Champion(None, "")
    moves: list[tuple[Action, int]] = [("promote", 1), ("promote", 3)]
    for action, number in moves:
        append(home.promotions, promotion("pets", action, before, Champion.of(version(number)), "", "ada"))
        before = Champion.of(version(number))
    versions = version(1), version(2), version(3, "champion"), version(4, "challenger"), version(5)
    assert collected(home, *versions, keep_runs=2) == {"2", "5", "6"}


def test_a_live_run_stays(home: Home) -> None:
    """However long it has been silent."""
    with RunRecorder(home, RunRecord("1", "2026-01-01T00:00:00Z")) as recorder:
        recorder.save()
        for file in (recorder.folder / "run.json", recorder.folder / ".alive", recorder.folder):
            aged(file, 24 * 100)
        assert collected(home) == set()


def test_old_caches_and_logs_go(home: Home) -> None:
    """What the next run that needs them makes again, and the logs of a local Airflow's tasks; nothing beside them."""
    kept = [home.cache / "code.json", home.cache / "watched.json", home.root / "mine.txt", home.airflow / "logs" / "x"]
    old = [
        *(home.cache / name for name in ("hashes-1.json", "headers-1.json", "teacher-1/model.keras")),
        home.airflow / "logs" / "dag_id=retrain" / "run_id=1" / "task_id=train" / "attempt=1.log",
    ]
    young = home.cache / "hashes-2.json"
    for file in (*kept, *old, young):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for path in home.root.rglob("*"):
        aged(path, 24 * 100)
    aged(young, 1)
    assert collected(home) == {"hashes-1.json", "headers-1.json", "teacher-1", "run_id=1"}


def test_how_long_the_disk_lasts_follows_from_the_growth_over_weeks(home: Home) -> None:
    """Measured after each housekeeping; damaged lines and what is from another year do not count."""
    (home.root / "images.npy").write_bytes(bytes(30_000))
    log, now = home.root / "disk.jsonl", time.time()
    lines = [{"time": now - 400 * DAY, "bytes": 1}, {"time": now - 2 * WEEK, "bytes": 10_000}]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"time": \n')
    disk = housekeeping.measure(home)
    assert disk.growth == pytest.approx(10_000, rel=0.1)
    assert disk.weeks == pytest.approx(disk.free / (disk.growth or 1))
    assert json.loads(log.read_text().splitlines()[-1])["bytes"] > 30_000


@pytest.mark.parametrize(
    ("disk", "expected"),
    [
        (Disk(10**9, None), "1.0 GB are left on the disk; how long they last is known after the next housekeeping"),
        (Disk(10**9, -5.0), "1.0 GB are left on the disk; the workspace does not grow"),
        (Disk(10**9, 1e7), "1.0 GB are left on the disk, enough for 100 weeks at 10.0 MB a week"),
    ],
)
def test_what_is_said_of_the_disk(disk: Disk, expected: str) -> None:
    """The space, and the weeks where they are known."""
    assert str(disk) == expected


def test_the_first_housekeeping_knows_no_growth(home: Home) -> None:
    """Nor does a second one on the same day."""
    assert [housekeeping.measure(home).growth for _ in range(2)] == [None, None]


def test_what_nobody_notices_is_an_alarm(home: Home) -> None:
    """No success for long, an old champion, a disk that is nearly full; nothing of a new workspace."""
    assert housekeeping.alarms(home, 30) == []
    ran(home, "1", days=1)  # began in January
    append(home.promotions, promotion("pets", "promote", Champion(None, ""), Champion.of(version(1)), "", "ada"))
    [success] = housekeeping.alarms(home, 30)
    assert success.startswith("no run has succeeded for ")
    assert [problem.partition(" for ")[0][:23] for problem in housekeeping.alarms(home, -1)] == [
        "no run has succeeded",
        "the champion of pets is",
    ]
    now = time.time()
    lines = [{"time": now - WEEK, "bytes": 0}, {"time": now, "bytes": 10**18}]
    (home.root / "disk.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert any(problem.startswith("the disk is nearly full: ") for problem in housekeeping.alarms(home, 30))


def test_the_exports_of_champion_challenger_and_the_champion_before_are_kept(home: Home) -> None:
    """Others can be fetched from MLflow; those of a model that the registry does not know stay, as does the link."""
    versions = [version(1), version(2), version(3, "champion"), version(4), version(5, "challenger")]
    for before, after in pairwise([None, *versions[:3]]):
        moved = promotion("pets", "promote", Champion.of(before), Champion.of(after), "better", "ada")
        append(home.promotions, moved)
    for name in ("pets/1", "pets/2", "pets/3", "pets/4", "pets/5", "pets/.draft-live", "pets/.draft-killed", "cars/1"):
        (home.exports / name).mkdir(parents=True)
    (home.exports / "pets" / "champion").symlink_to("3")
    aged(home.exports / "pets" / ".draft-killed", 25)
    registry = Known(home, *versions)
    housekeeping.collect(home, registry, housekeeping.find(home, registry, 0, 90), 90)
    left = {str(path.relative_to(home.exports)) for path in home.exports.glob("*/*")}
    assert left == {"pets/2", "pets/3", "pets/5", "pets/.draft-live", "pets/champion", "cars/1"}


def test_a_file_with_two_names_is_counted_once(home: Home) -> None:
    """A published export shares its bytes with the artifact: the workspace is no larger for it."""
    (home.root / "artifact").write_bytes(bytes(1000))
    (home.exports / "pets" / "1").mkdir(parents=True)
    (home.exports / "pets" / "1" / "model.tflite").hardlink_to(home.root / "artifact")
    assert garbage.bytes_of(home.root) == 1000
