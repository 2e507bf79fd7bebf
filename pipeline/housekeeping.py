"""Housekeeping: deletes what nothing needs any more, says what that freed, and how long the disk will last.

Never deleted is what the champion, the challenger, a version that waits for a decision or is on hold, a champion that
can be restored, or a live run needs. Deleted are

  artifacts and what belongs to them       pipeline/garbage.py; those of the last *keep_runs* runs stay
  records and reports of runs              older than *keep_days*, as is all that follows
  caches of hashes, headers and models     which the next run that needs them makes again
  logs of Airflow's tasks                  where `make airflow` keeps them
  runs that were deleted in MLflow         with their files, where the registry is a database of this machine

$PIPELINE_HOME/
  disk.jsonl      a line for each housekeeping: {"time", "bytes" of the workspace after it}
"""

import contextlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from components.formatting import size, thousands
from components.promote.champion import former_champions
from components.registry import promotion_log
from components.registry.approval import OF_APPROVAL, held, waiting
from components.registry.client import CHAMPION, Registry
from components.registry.model_version import ModelVersion
from components.registry.promotion_log import Champion, champion_history
from components.system.locks import is_locked
from pipeline import garbage
from pipeline.exports import exports_of
from pipeline.garbage import Garbage
from pipeline.home import Home
from pipeline.mlflow_run import RUN_TAG, close_abandoned, delete_for_good
from pipeline.run_record import records

DAY, WEEK = 86_400.0, 7 * 86_400.0
CACHES = ("folder-*", "hashes-*", "headers-*", "unusable-*", "teacher-*", "weights-*")  # in the folder cache
TASK_LOGS = "logs/dag_id=*/run_id=*"  # in Airflow's folder
MEASURED_OVER = 8 * WEEK  # the growth of the workspace
FEW_WEEKS = 2.0  # that the disk lasts: the next housekeeping may come too late


@dataclass(frozen=True)
class Waste:
    """What can go: *unneeded*, whenever it was made, and what is *old*, with its bytes."""

    unneeded: Garbage
    old: dict[Path, int]
    protected_runs: frozenset[str]  # in MLflow

    @property
    def bytes(self) -> int:
        return self.unneeded.bytes + sum(self.old.values())


@dataclass(frozen=True)
class Disk:
    """The space that is left, and by how many bytes a week the workspace grows; None where that is not known yet."""

    free: int
    growth: float | None

    @property
    def weeks(self) -> float | None:
        """How long the space lasts; None where the workspace does not grow, or that is not known yet."""
        return self.free / self.growth if self.growth and self.growth > 0 else None

    def __str__(self) -> str:
        left = f"{size(self.free)} are left on the disk"
        if self.growth is None:
            return f"{left}; how long they last is known after the next housekeeping"
        if self.weeks is None:
            return f"{left}; the workspace does not grow"
        return f"{left}, enough for {thousands(int(self.weeks))} weeks at {size(int(self.growth or 0))} a week"


def find(home: Home, registry: Registry, keep_runs: int, keep_days: float) -> Waste:
    """What can be deleted."""
    versions = [version for name in registry.names() for version in registry.versions(name)]
    restorable = _restorable(home, versions)
    undecided = {(version.name, version.version) for version in waiting(versions)}
    needed = [version for version in versions if version.aliases or (version.name, version.version) in undecided]
    exports = garbage.unneeded_exports(
        exports_of(home, registry), versions, [*needed, *_served(home, registry, versions)]
    )
    unneeded = garbage.find(home, [v.tags for v in needed], keep_runs, [v.tags for v in restorable], exports)
    kept = {version.tags.get(RUN_TAG, "") for version in (*needed, *restorable)}
    old = {path: garbage.bytes_of(path) for path in _old(home, kept, keep_runs, keep_days * DAY)}
    return Waste(unneeded, old, frozenset(version.run_id for version in versions))


def _restorable(home: Home, versions: Sequence[ModelVersion]) -> list[ModelVersion]:
    """Those of *versions* that `rollback` can restore, and those on hold."""
    names, on_hold = {version.name for version in versions}, held(versions)
    champions = {(n, c) for n in names for c in champion_history(promotion_log.read(home.promotions, n))}
    return [version for version in versions if (version.name, Champion.of(version)) in champions or version in on_hold]


def _served(home: Home, registry: Registry, versions: Sequence[ModelVersion]) -> list[ModelVersion]:
    """Those of *versions* that may soon be served again: each champion before the present one, and those on hold."""
    champions = [version for version in versions if CHAMPION in version.aliases]
    before = (former_champions(registry, champion, home.promotions)[:1] for champion in champions)
    return [*chain.from_iterable(before), *held(versions)]


def _old(home: Home, kept: Iterable[str], keep_runs: int, seconds: float) -> Iterator[Path]:
    """The runs but the last *keep_runs* and those *kept*, the caches and logs; if nothing was written to them since."""
    last = {record.run for record in records(home)[:keep_runs]}
    runs = (path for path in home.runs.glob("*") if path.name not in {*kept, *last})
    caches = (path for pattern in CACHES for path in home.cache.glob(pattern))
    for path in (*runs, *caches, *home.airflow.glob(TASK_LOGS)):
        if garbage.age(path) > seconds and not (path.is_dir() and is_locked(path / ".alive")):
            yield path


def collect(home: Home, registry: Registry, waste: Waste, keep_days: float) -> Waste:
    """Delete *waste*, close the MLflow runs of killed trainings; returns what went."""
    unneeded = garbage.collect(home, waste.unneeded)
    for path in waste.old:
        _delete(path)
    _tidy_mlflow(home, registry, waste.protected_runs, keep_days)
    return Waste(unneeded, waste.old, waste.protected_runs)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        aside = path.with_name(garbage.ASIDE + path.name)
        with contextlib.suppress(FileNotFoundError):  # another housekeeping was first
            shutil.rmtree(path.rename(aside), ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _tidy_mlflow(home: Home, registry: Registry, protected: Iterable[str], keep_days: float) -> None:
    """Nothing to do imports no MLflow."""
    if any(record.mlflow_run and record.state in ("killed", "unfinished") for record in records(home)):
        close_abandoned(registry.client, home)
    delete_for_good(registry, keep_days * DAY, protected)


def measure(home: Home) -> Disk:
    """Remember how large the workspace is now; how long the disk lasts."""
    with (home.root / "disk.jsonl").open("a") as file:
        file.write(json.dumps({"time": time.time(), "bytes": garbage.bytes_of(home.root)}) + "\n")
    return disk(home)


def disk(home: Home) -> Disk:
    """How long the disk lasts: the last measurement, beside the first one of the last weeks."""
    *earlier, (now, used) = [*_measured(home)] or [(time.time(), 0)]
    before = [(then, was) for then, was in earlier if now - MEASURED_OVER < then < now - DAY]
    growth = (used - before[0][1]) * WEEK / (now - before[0][0]) if before else None
    return Disk(shutil.disk_usage(home.root).free, growth)


def alarms(home: Home, days: float) -> list[str]:
    """What nobody else notices: no run succeeded for so many *days*, a champion is older, the disk is nearly full."""
    known, problems, before = records(home), list[str](), time.time() - days * DAY
    ends = [_seconds(run.finished or run.started) for run in known if run.state == "succeeded"]
    since = max(ends, default=min((_seconds(run.started) for run in known), default=before))
    if since < before:
        problems.append(f"no run has succeeded for {int((time.time() - since) / DAY)} days (schedule.alarm_days)")
    moves = (promotion for promotion in promotion_log.read(home.promotions) if promotion.action not in OF_APPROVAL)
    for promotion in {promotion.name: promotion for promotion in moves}.values():
        if (age := time.time() - _seconds(promotion.time)) > days * DAY:
            problems.append(f"the champion of {promotion.name} is {int(age / DAY)} days old (schedule.alarm_days)")
    if (weeks := disk(home).weeks) is not None and weeks < FEW_WEEKS:
        problems.append(f"the disk is nearly full: {disk(home)}")
    return problems


def _seconds(when: str) -> float:
    return datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp()


def _measured(home: Home) -> Iterator[tuple[float, int]]:
    """When the workspace was measured, and its bytes; damaged lines are left out."""
    with contextlib.suppress(FileNotFoundError), (home.root / "disk.jsonl").open(errors="replace") as lines:
        for line in lines:
            with contextlib.suppress(ValueError, LookupError, TypeError):
                measured = json.loads(line)
                yield float(measured["time"]), int(measured["bytes"])
