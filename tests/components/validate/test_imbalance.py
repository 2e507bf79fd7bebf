"""Classes of very different size are reported, with the settings that help."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.findings import Finding
from components.settings.sections import Gate, Train
from components.validate.imbalance import imbalance


def judged(folder: Path, counts: list[int] | None, train: dict[str, Any], gate: dict[str, Any]) -> list[Finding]:
    statistics = {"classes": ["cat", "dog", "emu"], "splits": {"train": {"histogram": counts}}}
    (folder / "statistics.json").write_text(json.dumps(statistics))
    return imbalance(folder, Train(**train), Gate(**gate))


def test_more_than_ten_to_one_is_a_warning_with_both_settings(tmp_path: Path) -> None:
    """The largest and the smallest class by name and number."""
    assert judged(tmp_path, [1_010, 10, 500], {}, {}) == [
        Finding(
            "warning",
            "train: class 'cat' has 1,010 images and class 'dog' 10, 101 to 1; weigh the classes equally with "
            "--set train.class_weights=balanced, and require each to be recognized with "
            "--set gate.min_class_recall=0.5",
        )
    ]
    for counts in ([100, 10, 50], [0, 10, 1], None):
        assert judged(tmp_path, counts, {}, {}) == []


@pytest.mark.parametrize("weights", ["none", "balanced"])
@pytest.mark.parametrize("recall", [0.0, 0.3])
def test_who_followed_the_advice_is_left_alone(tmp_path: Path, weights: str, recall: float) -> None:
    """What is set already is not named again."""
    found = judged(tmp_path, [100, 5, 50], {"class_weights": weights}, {"min_class_recall": recall})
    named = " ".join(finding.text for finding in found)
    assert ("train.class_weights" in named) == (weights == "none")
    assert ("gate.min_class_recall" in named) == (recall == 0)
