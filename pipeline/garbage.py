"""Garbage collection: what nothing needs any more, and its deletion.

Kept, with everything that it was made from:
  what an alias points to (champion, challenger), what waits for a person's decision, what the last runs and the
  searches made, runs that may still go on
Kept for itself:
  what a rollback can restore, or a person put on hold: models, exports, evaluations and statistics, but not the images
  what a live process uses (pipeline/store/leases.py)
  copies of images that were read in the last week: unpacked archives and fetched objects
  published exports of champion and challenger, of the champion before, and of what waits or is on hold
"""

import contextlib
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from components.registry.exports import Exports
from components.registry.model_version import ModelVersion
from components.system import held_folders
from components.system.locks import is_locked
from pipeline.graph import STAGES
from pipeline.home import Home
from pipeline.run_record import records
from pipeline.store.artifact import Brief
from pipeline.store.leases import Item

KEEP_RUNS = 5
DAY = 86_400
ENDED = ("succeeded", "refused")  # runs that do not go on; the others may, by a retry or their next stage
SERVED = ("validate", "train", "evaluate")  # what a champion is compared by; what it is served from is its export
ASIDE = ".gone-"  # prefix of a folder that is being deleted
COPIES = ("unpacked", "s3")  # folders of the cache: what components/ingest/reading/{unpacking,bucket_copy}.py read from
TRIAL = re.compile(rb'"key":\s*"([0-9a-f]{16})"')

Role = tuple[str, str]  # (stage, content)


@dataclass(frozen=True)
class Garbage:
    artifacts: list[Item]
    folders: list[Path]  # events and figures of deleted artifacts, old checkpoints, find-lr's curves, old exports
    bytes: int
    in_use: int = 0  # artifacts that stay because a live process uses them
    copies: dict[Path, int] = field(default_factory=dict)  # of images, with their bytes
    sizes: dict[Item | Path, int] = field(default_factory=dict)  # of artifacts and folders


def find(
    home: Home,
    protected: Iterable[dict[str, str]],
    keep_runs: int = KEEP_RUNS,
    restorable: Iterable[dict[str, str]] = (),
    published: Iterable[Path] = (),
) -> Garbage:
    """What can be deleted.

    *protected* are the tags of the versions that an alias points to, or that wait for a decision (stage.key -> key),
    *restorable* those of the versions that a rollback can restore, or that are on hold. *published* are the folders of
    exports that nobody needs (`unneeded_exports`).
    """
    store = home.store
    known = dict(sorted(store.briefs().items(), key=lambda item: item[1].at))
    roots = {item for tags in protected for item in _tagged(tags, STAGES)}
    kept = _completed(known, roots | set(_of_runs(home, keep_runs)) | set(_of_searches(home)), _needs)
    kept |= _completed(known, {item for tags in restorable for item in _tagged(tags, SERVED)}, _export)
    unneeded = [item for item in store.list() if item not in kept and not store.is_young(*item)]
    leased = store.leases.others()
    artifacts = [item for item in unneeded if item not in leased]
    folders = [*_folders(home, kept | leased), *published]
    copies = {folder: bytes_of(folder) for folder in _copies(home)}
    sizes: dict[Item | Path, int] = {item: bytes_of(store.path(*item)) for item in artifacts}
    sizes |= {folder: bytes_of(folder) for folder in folders}
    size = sum(sizes.values()) + sum(copies.values())
    return Garbage(artifacts, folders, size, len(unneeded) - len(artifacts), copies, sizes)


def collect(home: Home, garbage: Garbage) -> Garbage:
    """Delete *garbage*, except what a live process uses by now, and what killed processes left; returns what went."""
    deleted = [*home.store.delete_all(garbage.artifacts)]
    for stage, key in deleted:
        (home.cache / "artifacts" / f"{stage}-{key}.json").unlink(missing_ok=True)  # the statuses of its files
    removed = [folder for folder in garbage.folders if _remove(home, folder)]
    copies = {folder: size for folder, size in garbage.copies.items() if _remove(home, folder)}
    home.store.sweep()
    home.store.sweep_uploads()
    gone: list[Item | Path] = [*deleted, *removed]
    size = sum(garbage.sizes.get(part, 0) for part in gone) + sum(copies.values())
    return Garbage(deleted, removed, size, garbage.in_use + len(garbage.artifacts) - len(deleted), copies)


# What is kept


def _tagged(tags: dict[str, str], stages: Iterable[str]) -> Iterator[Item]:
    return ((stage, tags[f"{stage}.key"]) for stage in stages if f"{stage}.key" in tags)


def _of_runs(home: Home, keep_runs: int) -> Iterator[Item]:
    """What the last runs made or reused, and those of the last day that may go on."""
    for number, record in enumerate(records(home)):
        going_on = record.state not in ENDED and age(home.runs / record.run / "run.json") < DAY
        if number < keep_runs or record.state == "running" or going_on:
            yield from ((done.stage, done.key) for done in record.stages)


def _of_searches(home: Home) -> Iterator[Item]:
    """The best training of each search, on which its profile relies; every one of a search that may be resumed."""
    for file in home.tuning.glob("*.json"):
        with contextlib.suppress(ValueError, LookupError, TypeError, RecursionError, OSError):
            yield "train", str(json.loads(file.read_bytes())["best"]["key"])
    for journal in home.tuning.glob("*.journal"):
        if age(journal) < min(7 * DAY, age(journal.with_suffix(".json"))):
            yield from (("train", key.decode()) for key in TRIAL.findall(journal.read_bytes()))


def _completed(known: dict[Item, Brief], kept: set[Item], needs: Callable[[Brief], Iterable[Role]]) -> set[Item]:
    """*kept* with what they need of the *known* artifacts, which are sorted by age.

    Of artifacts with the same content, as after a change of code that changed no byte, one is enough: one that is kept
    already, else the newest.
    """
    newest = {_role(artifact): item for item, artifact in known.items()}
    while True:
        present = [known[item] for item in kept if item in known]
        needed = {need for artifact in present for need in needs(artifact)} - {_role(artifact) for artifact in present}
        more = {newest[role] for role in needed if role in newest}
        if not more:
            return kept
        kept = kept | more


def _needs(artifact: Brief) -> Iterator[Role]:
    """The roles of the artifacts that *artifact* was made from; for a model also that of its export."""
    yield from artifact.inputs.items()
    yield from _export(artifact)


def _export(artifact: Brief) -> Iterator[Role]:
    if artifact.stage == "train":
        yield "export", artifact.digest


def _role(artifact: Brief) -> Role:
    """Stage and content; for an export the content of the model."""
    return artifact.stage, artifact.inputs.get("train", "") if artifact.stage == "export" else artifact.digest


# Folders beside the artifacts


def unneeded_exports(exports: Exports, versions: Iterable[ModelVersion], kept: Iterable[ModelVersion]) -> list[Path]:
    """The published folders of models that have *versions*, but those *kept*; MLflow has a copy of each.

    What a killed process left there, too.
    """
    needed = {exports.folder(version) for version in kept}
    models = {exports.folder(version).parent for version in versions}
    present = (path for model in sorted(models) for path in model.glob("*") if not path.is_symlink())
    return [path for path in present if path not in needed and (path.name.isdecimal() or _is_left(path, DAY))]


def _folders(home: Home, kept: set[Item]) -> Iterator[Path]:
    """The folders that belong to no artifact of *kept*, nor to a run that may go on."""
    events = (home.root / "tensorboard").glob("*")
    figures = (folder for folder in (home.cache / "figures").glob("*") if not _is_being_drawn(folder))
    checkpoints = (folder for folder in (home.root / "work").glob("*") if _is_left(folder, 7 * DAY))
    yield from (folder for folder in (*events, *figures, *checkpoints) if _owner(folder) not in kept)
    for folder in home.runs.glob("*"):
        recorded = (folder / "run.json").exists() or is_locked(folder / ".alive")
        if folder.is_dir() and not recorded and _is_left(folder, DAY):
            yield folder


def _copies(home: Home) -> Iterator[Path]:
    """The copies of images that no process has read for a week; they can always be made again."""
    for folder in (path for kind in COPIES for path in (home.cache / kind).glob("*")):
        if folder.is_dir() and _is_left(folder, 7 * DAY):
            with held_folders.withdrawing(folder) as free:
                if free:
                    yield folder


def _is_left(folder: Path, seconds: float) -> bool:
    """Whether nothing was written to *folder* for so many *seconds*, or a killed `gc` left it."""
    return folder.name.startswith(ASIDE) or age(folder) > seconds


def _is_being_drawn(folder: Path) -> bool:
    return folder.name.startswith(".") and not folder.name.startswith(ASIDE)


def _owner(folder: Path) -> Item:
    """The artifact that *folder* belongs to; for a folder of a run one that there never is."""
    name = folder.name.removeprefix(ASIDE)
    if folder.parent.name == "work":
        stage, _, key = name.rpartition("-")
        return stage, key
    stage = {"tensorboard": "train", "figures": "evaluate"}.get(folder.parent.name, "")
    return stage, name.partition("-")[0]


def _remove(home: Home, folder: Path) -> bool:
    """Delete *folder*, renamed first, unless a live process uses it or its artifact."""
    is_copy = folder.parent.name in COPIES
    withdrawing = held_folders.withdrawing(folder) if is_copy else home.store.leases.withdrawing(*_owner(folder))
    with withdrawing as free, contextlib.suppress(FileNotFoundError):
        if free and not folder.name.startswith(ASIDE):
            folder = folder.rename(folder.with_name(ASIDE + folder.name))
    if free:
        shutil.rmtree(folder, ignore_errors=True)
    return free


def age(path: Path) -> float:
    """Seconds since *path* was last written, or anything below it; infinite where there is nothing."""
    return time.time() - max((status.st_mtime for status in _statuses(path)), default=float("-inf"))


def bytes_of(path: Path) -> int:
    """Of *path* and of everything below it; of a file with two names half, as each alone frees nothing."""
    return sum(status.st_size // status.st_nlink for status in _statuses(path) if stat.S_ISREG(status.st_mode))


def _statuses(path: Path | str) -> Iterator[os.stat_result]:
    """The status of *path* and of everything below it, but for what another process deletes meanwhile."""
    with contextlib.suppress(OSError):
        yield os.lstat(path)
    pending = [os.fspath(path)]
    while pending:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    yield entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
