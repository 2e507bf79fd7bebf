"""The artifact of ingest from which a run takes the images that it need not decode again."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.ingest.reading import folder_state
from components.system import stat_cache
from pipeline import config, earlier_images, execute
from pipeline.home import Home
from pipeline.run_record import now
from pipeline.runner import Runner
from pipeline.store.artifact import Artifact
from pipeline.store.recipe import Recipe
from tests.components.ingest.sources.test_folder import save
from tests.components.ingest.test_stage import image_folder
from tests.pipeline.test_healing import flip

TAKEN = "1 of 25 images decoded, 24 taken from ingest/"


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before it is looked at counts as old."""
    monkeypatch.setattr(stat_cache, "SETTLED_NS", 0)
    monkeypatch.setattr(folder_state, "SETTLED_NS", 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """24 images, which a run has ingested, and one that came since."""
    root = image_folder(tmp_path / "pets")
    run(root)
    save(root / "a" / "new.png", 100, (5, 4))
    return root


def run(root: Path, *overrides: str, home: str = "home", force: tuple[str, ...] = ()) -> Runner:
    settings = config.load("", overrides, str(root), {})
    return execute.run(settings, Home(root.with_name(home)), until="ingest", force=force)


def ingested(root: Path) -> Path:
    """The one artifact of ingest."""
    (artifact,) = (root.with_name("home") / "artifacts" / "ingest").glob("[!.]*")
    return artifact


def test_images_of_the_last_run_are_taken(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The artifact is that of a workspace which has not seen them, name and bytes."""
    before = ingested(root)
    made = run(root).artifact("ingest")
    assert TAKEN + before.name in capsys.readouterr().err
    full = run(root, home="another").artifact("ingest")
    assert (made.key, made.digest) == (full.key, full.digest)
    assert TAKEN not in capsys.readouterr().err


@pytest.mark.parametrize("file", ["train/images-00000.npy", "sha256.json", "manifest.json"])
def test_no_image_is_taken_from_a_damaged_artifact(file: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them are decoded, to the same artifact."""
    flip(ingested(root) / file)
    made = run(root).artifact("ingest")
    said = capsys.readouterr().err
    assert "taken from ingest/" not in said
    assert file == "manifest.json" or f"{file} was changed since it was published; no image is taken from there" in said
    assert made.digest == run(root, home="another").artifact("ingest").digest


@pytest.mark.parametrize(
    "setting", ["ingest.resize=box", "ingest.fit=crop", "ingest.channels=1", "ingest.image_size=4"]
)
def test_no_image_is_taken_that_was_decoded_otherwise(
    setting: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By another filter, or to another size."""
    run(root, setting)
    assert "taken from ingest/" not in capsys.readouterr().err


def test_another_share_of_test_images_decodes_no_image_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but their splits changes."""
    made = run(root, "ingest.test_share=0.4").artifact("ingest")
    assert TAKEN in capsys.readouterr().err
    assert made.digest == run(root, "ingest.test_share=0.4", home="another").artifact("ingest").digest


def test_a_forced_run_decodes_all(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever doubts an artifact wants it to be made."""
    run(root, force=("ingest",))
    assert "taken from ingest/" not in capsys.readouterr().err


def test_no_image_is_taken_from_another_data_set(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its artifact would be read for nothing."""
    run(shutil.copytree(root, root.with_name("birds")))
    assert "taken from ingest/" not in capsys.readouterr().err


OTHERS: dict[str, Callable[[Recipe], Any]] = {
    "code": lambda recipe: {**recipe, "code": {**recipe["code"], "components.ingest.stage": "0"}},
    "libraries": lambda recipe: {**recipe, "runtime": {**recipe["runtime"], "pillow": "1.0"}},
    "a setting that there will be": lambda recipe: {**recipe, "params": {**recipe["params"], "gamma": 2}},
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_no_image_is_taken_that_other_code_decoded(change: Callable[[Recipe], Any], root: Path) -> None:
    """Nor other versions of the libraries, nor a setting that nobody has thought of."""
    runner = run(root)
    recipe: Recipe = runner.artifact("ingest").recipe

    def find(recipe: Recipe) -> Path | None:
        return earlier_images.find(runner.home.root / "artifacts", runner.params.ingest, recipe)

    assert find(recipe)
    assert find(change(recipe)) is None


def test_the_newest_artifact_is_taken(root: Path) -> None:
    """It is likely to hold most of the images."""
    first = now()
    while now() == first:
        time.sleep(0.01)
    runner = run(root)
    newest: Artifact = runner.artifact("ingest")
    found = earlier_images.find(runner.home.root / "artifacts", runner.params.ingest, newest.recipe)
    assert found == newest.path


def test_no_image_of_16_bits_is_taken(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether they are dim shows while they are decoded alone, and the warning stays."""
    for number in range(3):
        Image.fromarray(np.full((4, 5), 1000 + number, np.uint16)).save(root / "a" / f"deep-{number}.png")
    run(root)
    capsys.readouterr()
    save(root / "a" / "newer.png", 200, (5, 4))
    run(root)
    said = capsys.readouterr().err
    assert "5 of 29 images decoded, 24 taken from ingest/" in said
    assert "3 of 3 images of 16 bits are nearly black" in said
