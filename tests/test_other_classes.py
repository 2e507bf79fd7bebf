"""Retraining after the classes of a folder changed: from the folder to the promotion log, each model tiny."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.errors import DataRejected, ModelRejected
from components.registry import promotion_log
from pipeline import config, execute
from pipeline.home import Home
from pipeline.runner import Runner

SETTINGS = (
    "train.model=dense",
    "train.epochs=6",
    "train.batch_size=16",
    "train.learning_rate=0.01",
    "train.precision=float32",
    "validate.min_images=1",
    "validate.max_class_drift=1",
    "gate.min_accuracy=0",
    "evaluate.corruption_images=0",
    "export.formats=keras",
)
BARELY = ("train.epochs=1", "train.learning_rate=0.000001")


def draw(folder: Path, *names: str, count: int = 60) -> None:
    """Noisy pictures with a bright bar, at a place that follows from the name of the class."""
    for name in names:
        (folder / name).mkdir(parents=True)
        random, row = np.random.default_rng(sum(name.encode())), sum(name.encode()) % 7
        for number in range(count):
            pixels = random.integers(0, 60, (8, 8), dtype=np.uint8)
            pixels[row] = 200
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def run(home: Path, folder: Path, *overrides: str) -> Runner:
    return execute.run(config.load("", (*SETTINGS, *overrides), str(folder), {}), Home(home))


def champion(home: Path) -> str | None:
    history = promotion_log.champion_history(promotion_log.read(home / "promotions.jsonl"))
    return history[-1].version if history else None


def test_a_folder_whose_classes_changed_gets_no_worse_champion(tmp_path: Path) -> None:
    """`ant` comes before `cat` and `dog` and renumbers both: the good champion is judged by the names of its classes.

    What learned nothing is no better than always answering cat, and is not registered; what learned all three is
    promoted, and the log says what was compared. A folder that shares only its name with the first one is warned of
    before its images are decoded.
    """
    home, zoo, bolts = tmp_path / "home", tmp_path / "1" / "zoo", tmp_path / "2" / "zoo"
    draw(zoo, "cat", "dog")
    run(home, zoo)
    draw(zoo, "ant", count=30)
    with pytest.raises(ModelRejected, match="is not better than always answering 'cat'"):
        run(home, zoo, *BARELY)
    assert champion(home) == "1"
    trained = run(home, zoo)
    assert trained.record.model["version"] == champion(home) == "2"
    promotion = promotion_log.read(home / "promotions.jsonl")[-1]
    assert promotion.comparison
    assert promotion.comparison["champion_correct"] == promotion.comparison["n"] > 0
    assert promotion.comparison["both_classes"] == ["cat", "dog"]
    assert "; new: 'ant', " in promotion.reason

    draw(bolts, "bolt", "nut")
    ingested = list((home / "artifacts" / "ingest").iterdir())
    with pytest.raises(DataRejected, match=r"'bolt', 'nut', .* zoo-classifier knows 'ant', 'cat', 'dog'; "):
        run(home, bolts)
    assert list((home / "artifacts" / "ingest").iterdir()) == ingested
    assert champion(home) == "2"
