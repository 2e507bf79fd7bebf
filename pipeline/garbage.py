"""Forget what nobody needs: everything but what the champion, the challenger and the last runs stand on."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from components.errors import ArtifactCorrupt
from pipeline.graph import STAGES
from pipeline.home import Home, is_locked
from pipeline.runs import records

KEEP_RUNS = 5


@dataclass(frozen=True)
class Garbage:
    artifacts: list[tuple[str, str]]  # (stage, key)
    folders: list[Path]  # scratch of dead stages, events of trainings that are gone
    bytes: int


def find(home: Home, protected: Iterable[dict[str, str]], keep_runs: int = KEEP_RUNS) -> Garbage:
    """What can go; *protected* are the tags of the versions that an alias points to (stage.key -> key)."""
    kept = {(stage, tags.get(f"{stage}.key", "")) for tags in protected for stage in STAGES}
    for record in records(home)[:keep_runs]:
        kept |= {(stage["stage"], stage["key"]) for stage in record.stages}
    kept = _with_inputs(home, kept)
    artifacts = [item for item in home.store.list() if item not in kept]
    trained = {key for stage, key in kept if stage == "train"}
    folders = [path for path in (home.root / "tensorboard").glob("*") if path.name not in trained]
    folders += list((home.root / "work").glob("*"))
    size = sum(_bytes(home.store.path(*item)) for item in artifacts) + sum(map(_bytes, folders))
    return Garbage(artifacts, folders, size)


def collect(home: Home, garbage: Garbage) -> None:
    """Delete *garbage*, scratch that a live stage works in excepted, and the drafts of dead processes."""
    for stage, key in garbage.artifacts:
        home.store.delete(stage, key)
    for folder in garbage.folders:
        if not is_locked(home.root / "locks" / folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    home.store.sweep()


def _with_inputs(home: Home, kept: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """*kept* and every artifact whose digest one of them read."""
    known = {}
    for stage, key in home.store.list():
        try:
            if artifact := home.store.get(stage, key):
                known[stage, key] = artifact
        except ArtifactCorrupt:
            continue
    wanted = {d for item in kept if item in known for d in known[item].recipe["inputs"].values()}
    more = {item for item, artifact in known.items() if artifact.digest in wanted}
    return kept | more if more <= kept else _with_inputs(home, kept | more)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
