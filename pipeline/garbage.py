"""Garbage collection: keep what the champion, the challenger, the last runs and the best trials were made from."""

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from components.errors import ArtifactCorrupt
from components.system.locks import is_locked
from pipeline.graph import STAGES
from pipeline.home import Home
from pipeline.run_record import records
from pipeline.store.artifact import Artifact

KEEP_RUNS = 5

Item = tuple[str, str]  # (stage, key)


@dataclass(frozen=True)
class Garbage:
    artifacts: list[Item]
    folders: list[Path]  # scratch of killed stages, events of deleted trainings, figures of deleted evaluations
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
    evaluated = {key for stage, key in kept if stage == "evaluate"}
    drawn = (home.cache / "figures").glob("[!.]*")  # a hidden one is being drawn
    folders += [path for path in drawn if path.name.partition("-")[0] not in evaluated]
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


def _best_of_searches(home: Home) -> Iterator[Item]:
    """The best training of each search, which the profile of the search relies on."""
    for file in home.tuning.glob("*.json"):
        with contextlib.suppress(ValueError, LookupError):
            yield "train", json.loads(file.read_bytes())["best"]["key"]


def _with_relatives(home: Home, kept: set[Item]) -> set[Item]:
    """*kept*, the artifacts that these were made from, and an export of each model among them.

    Of artifacts with the same content, as after a change of code that changed no byte, one is enough: one that is kept
    already, else the newest.
    """
    known = dict(sorted(_known(home), key=lambda item: item[1].made.get("at", "")))
    newest = {_role(artifact): item for item, artifact in known.items()}
    while True:
        present = [known[item] for item in kept if item in known]
        needed = {need for artifact in present for need in _needs(artifact)} - {_role(artifact) for artifact in present}
        more = {newest[role] for role in needed if role in newest}
        if not more:
            return kept
        kept = kept | more


def _needs(artifact: Artifact) -> Iterator[tuple[str, str]]:
    """The roles of the artifacts that *artifact* was made from; for a model also that of its export."""
    yield from artifact.recipe["inputs"].items()
    if artifact.stage == "train":
        yield "export", artifact.digest


def _role(artifact: Artifact) -> tuple[str, str]:
    """Stage and content; for an export the content of the model."""
    return artifact.stage, artifact.recipe["inputs"].get("train", "") if artifact.stage == "export" else artifact.digest


def _known(home: Home) -> Iterator[tuple[Item, Artifact]]:
    for stage, key in home.store.list():
        with contextlib.suppress(ArtifactCorrupt):
            if artifact := home.store.get(stage, key, files=False):
                yield (stage, key), artifact


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
