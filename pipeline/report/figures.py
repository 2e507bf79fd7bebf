"""The pictures of a run: those that stages wrote, and the figures of the evaluation, drawn once and kept.

    $PIPELINE_HOME/cache/figures/KEY-HASH/*.png    KEY is that of the evaluation, HASH that of all their bytes depend on

The figures are no artifact: no stage reads them, a new colour predicts nothing again, and to delete them costs the
seconds of drawing. Where they are kept already, neither NumPy nor matplotlib is imported.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from components.progress import say
from pipeline.graph import STAGES, TENSORFLOW
from pipeline.home import Home
from pipeline.runner import Runner
from pipeline.store.artifact import Artifact
from pipeline.store.code_hash import code_hashes
from pipeline.store.recipe import key, runtime

INPUTS = ("normalize", "train", "evaluate")
MODULE = "components.evaluate.figures.draw"
RUNTIME = (*TENSORFLOW, "matplotlib", "pillow")


def pictures(runner: Runner) -> dict[str, Path]:
    """Stage -> the folder of its PNG files, for each stage of the run so far that has any."""
    stages = [done.stage for done in runner.record.stages if not STAGES[done.stage].effect]
    folders = {stage: runner.artifact(stage).path / "pictures" for stage in stages}
    drawn = {stage: folder for stage, folder in folders.items() if folder.is_dir()}
    if "evaluate" in stages:
        drawn["evaluate"] = figures(runner.home, {stage: runner.artifact(stage) for stage in INPUTS})
    return drawn


def figures(home: Home, artifacts: Mapping[str, Artifact]) -> Path:
    """The folder with the figures of an evaluation, which are drawn where they are not kept yet."""
    name = f"{artifacts['evaluate'].key}-{_hash(home, artifacts)}"
    folder = home.cache / "figures" / name
    if folder.is_dir():
        return folder
    with home.lock(f"figures-{name}"):
        if not folder.is_dir():
            _draw(artifacts, folder)
    return folder


def _hash(home: Home, artifacts: Mapping[str, Artifact]) -> str:
    return key(
        {
            "stage": "figures",
            "code": code_hashes(home.cache).reached([MODULE]),
            "params": {},
            "inputs": {stage: artifacts[stage].digest for stage in INPUTS},
            "runtime": runtime(RUNTIME),
        }
    )


def _draw(artifacts: Mapping[str, Artifact], folder: Path) -> None:
    """Draw beside *folder*, then rename: a process that is killed leaves no half of it."""
    from components.evaluate.figures.draw import draw

    say("  drawing the figures of the evaluation")
    draft = folder.with_name(f".{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    draw(artifacts["normalize"].path, artifacts["train"].path, artifacts["evaluate"].path, draft)
    draft.rename(folder)
