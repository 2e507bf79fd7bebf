"""The figures of an evaluation: drawn from what evaluate wrote, equal bytes for equal numbers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.artifact_files import Mistake
from components.evaluate.figures import metrics as figures
from components.evaluate.figures.draw import draw
from components.evaluate.stage import evaluate
from components.settings.sections import Evaluate
from tests.support.brightness_model import brightness_model, contents, write_normalize, write_training


def is_picture(path: Path) -> bool:
    with Image.open(path) as image:
        return bool(image.width > 100 and np.asarray(image.convert("L")).std() > 1) and "Software" not in image.info


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Artifacts of normalize, train and evaluate; every tenth bright image is labelled dark."""
    folder = tmp_path_factory.mktemp("evaluated")
    grey = np.random.default_rng(0).integers(0, 256, 200, dtype=np.uint8)
    labels = (grey >= 128).astype(np.int64)
    labels[np.flatnonzero(labels)[::10]] = 0
    write_normalize(folder / "normalize", grey, labels)
    write_training(folder / "train", brightness_model(4.0))
    (folder / "evaluate").mkdir()
    evaluate(folder / "normalize", folder / "train", folder / "evaluate", Evaluate(mistakes=5))
    return folder / "normalize", folder / "train", folder / "evaluate"


def test_the_same_evaluation_gives_the_same_bytes_in_another_process(
    evaluated: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    """Every figure of the report is drawn, and drawn alike by a fresh process."""
    script = (
        "import sys; from pathlib import Path; from components.evaluate.figures.draw import draw\n"
        "draw(*map(Path, sys.argv[1:]))"
    )
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    draw(*evaluated, tmp_path / "here")
    subprocess.run([sys.executable, "-c", script, *map(str, (*evaluated, tmp_path / "there"))], check=True)
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert set(contents(tmp_path / "here")) == {
        "calibration.png", "confusion.png", "corruption-curves.png", "corruption-samples.png", "learning-curves.png",
        "mistakes.png", "slices.png", "suspects.png", "training-suspects.png",
    }  # fmt: skip
    assert all(is_picture(path) for path in (tmp_path / "here").iterdir())


def test_one_epoch_and_an_evaluation_without_mistakes_are_drawn_too(tmp_path: Path) -> None:
    """A training of one epoch has points for curves; without suspects there is no figure of them."""
    write_normalize(tmp_path / "normalize", np.full(3, 255, np.uint8), np.ones(3, np.int64))
    write_training(tmp_path / "train", brightness_model(4.0), epochs=1)
    for name in ("evaluate", "figures"):
        (tmp_path / name).mkdir()
    evaluate(tmp_path / "normalize", tmp_path / "train", tmp_path / "evaluate", Evaluate())
    draw(*(tmp_path / name for name in ("normalize", "train", "evaluate", "figures")))
    assert all(is_picture(path) for path in (tmp_path / "figures").iterdir())
    assert not (tmp_path / "figures" / "suspects.png").exists()


@pytest.mark.parametrize("n", [2, 13, 200])
def test_confusion_is_drawn_for_few_and_for_many_classes(n: int, tmp_path: Path) -> None:
    """Two classes and two hundred, with empty rows, and names that are long, in another script, or look like TeX."""
    names = ["$\\nope$", "a very long name of a class", "猫", *map(str, range(n))][:n]
    matrix = np.random.default_rng(0).integers(0, 30, (n, n))
    matrix[0] = 0
    figures.confusion(matrix.tolist(), names, tmp_path / "confusion.png")
    assert is_picture(tmp_path / "confusion.png")


@pytest.mark.parametrize(("count", "channels"), [(0, 1), (1, 1), (2, 3), (40, 3)])
def test_mistakes_are_drawn_grey_and_in_colour_many_and_none(count: int, channels: int, tmp_path: Path) -> None:
    """No mistake at all is a sentence, one is one image, and long names stand on a line of their own."""
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 6, channels), dtype=np.uint8)
    wrong: list[Mistake] = [{"index": i, "truth": 0, "predicted": 1, "probability": 0.99} for i in range(count)]
    figures.mistakes(images, wrong, ["short", "rather long"], tmp_path / "mistakes.png")
    assert is_picture(tmp_path / "mistakes.png")
