"""Why a stage would run, or would not: the difference between two recipes, in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.errors import ArtifactCorrupt, ArtifactMissing, RegistryUnreachable
from pipeline.graph import STAGES
from pipeline.runner import Runner
from pipeline.store.artifact import MANIFEST, read_manifest
from pipeline.store.local import Store
from pipeline.store.recipe import Recipe, differences, key


@dataclass(frozen=True)
class Explanation:
    stage: str
    verdict: str  # "reuse", "run", "act" (checks the registry each time) or "wait" (for a stage that it reads)
    key: str
    reasons: list[str]


def explain(runner: Runner) -> Iterator[Explanation]:
    """What a run with these settings would do, stage by stage. Nothing runs."""
    for stage in STAGES:
        yield _explain(stage, runner)


def _explain(stage: str, runner: Runner) -> Explanation:
    try:
        recipe = runner.recipe(stage)
    except (ArtifactMissing, ArtifactCorrupt, RegistryUnreachable) as error:
        missing = [name for name in STAGES[stage].reads if not _exists(name, runner)]
        reads = [f"reads {name}, which has to run first" for name in missing]
        return Explanation(stage, "wait", "", reads or [str(error).partition(";")[0]])
    name = key(recipe)
    if STAGES[stage].effect:
        return Explanation(stage, "act", name, ["checks the registry and does what is missing there"])
    try:
        if runner.stored(stage, recipe):
            return Explanation(stage, "reuse", name, [])
    except ArtifactCorrupt as error:
        return Explanation(stage, "run", name, [str(error).partition(";")[0]])
    last = _last_recipe(stage, runner.store)
    return Explanation(stage, "run", name, differences(last, recipe) if last else ["it has not run yet"])


def _exists(stage: str, runner: Runner) -> bool:
    try:
        return runner.find("train" if STAGES[stage].effect else stage) is not None
    except (ArtifactMissing, ArtifactCorrupt, RegistryUnreachable):
        return False


def _last_recipe(stage: str, store: Store) -> Recipe | None:
    """The recipe of the newest artifact of *stage*."""
    manifests = sorted((store.root / stage).glob(f"[!.]*/{MANIFEST}"), key=_written, reverse=True)
    for path in manifests:
        try:
            return read_manifest(path.read_bytes())["recipe"]
        except (OSError, ValueError, TypeError):
            continue
    return None


def _written(path: Path) -> float:
    """When *path* was written; 0 where it has gone meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
