"""Garbage collection: keep what the champion, the challenger, the last runs and the best trials were made from."""

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from components.errors import ArtifactCorrupt
from pipeline.graph import STAGES
from pipeline.home import Home, is_locked
from pipeline.run_record import records
from pipeline.store.artifact import Artifact

KEEP_RUNS = 5


@dataclass(frozen=True)
class Garbage:
    artifacts: list[tuple[str, str]]  # (stage, key)
    folders: list[Path]  # scratch of killed stages, events of deleted trainings
    bytes: int


def find(home: Home, protected: Iterable[dict[str, str]], keep_runs: int = KEEP_RUNS) -> Garbage:
    """What can be deleted; *protected* are the tags of the versions that an alias points to (stage.key -> key)."""
    kept = {(stage, tags.get(f"{stage}.key", "")) for tags in protected for stage in STAGES}
    for record in records(home)[:keep_runs]:
        kept |= {(done.stage, done.key) for done in record.stages}
    kept = _with_relatives(home, kept | set(_best_of_searches(home)))
    store = home.store
    artifacts = [item for item in store.list() if item not in kept and not store.is_young(*item)]
    trained = {key for stage, key in kept if stage == "train"}
    folders = [path for path in (home.root / "tensorboard").glob("*") if path.name not in trained]
    folders += list((home.root / "work").glob("*"))
    size = sum(_bytes(store.path(*item)) for item in artifacts) + sum(map(_bytes, folders))
    return Garbage(artifacts, folders, size)


def collect(home: Home, garbage: Garbage) -> None:
    """Delete *garbage*, except scratch that a live stage uses, and the drafts of killed processes."""
    for stage, key in garbage.artifacts:
        home.store.delete(stage, key)
    for folder in garbage.folders:
        if not is_locked(home.root / "locks" / folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    home.store.sweep()
    home.store.sweep_uploads()


def _best_of_searches(home: Home) -> Iterator[tuple[str, str]]:
    """The best training of each search, which the profile of the search relies on."""
    for file in home.tuning.glob("*.json"):
        with contextlib.suppress(ValueError, LookupError):
            yield "train", json.loads(file.read_bytes())["best"]["key"]


def _with_relatives(home: Home, kept: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """*kept*, everything that these were made from, and the exports of the models among them."""
    known = dict(_known(home))
    while True:
        read = {digest for item in kept if item in known for digest in known[item].recipe["inputs"].values()}
        models = {known[item].digest for item in kept if item in known and item[0] == "train"}
        more = {item for item, artifact in known.items() if artifact.digest in read or _exports(artifact, models)}
        if more <= kept:
            return kept
        kept = kept | more


def _exports(artifact: Artifact, models: set[str]) -> bool:
    return artifact.stage == "export" and artifact.recipe["inputs"].get("train") in models


def _known(home: Home) -> Iterator[tuple[tuple[str, str], Artifact]]:
    for stage, key in home.store.list():
        with contextlib.suppress(ArtifactCorrupt):
            if artifact := home.store.get(stage, key, files=False):
                yield (stage, key), artifact


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
