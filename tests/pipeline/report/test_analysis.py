"""The analysis of a run in its report."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.evaluate import diagnosis
from components.settings.sections import Gate, Train
from pipeline.report import analysis


def test_a_run_with_a_setting_that_would_be_refused_today_still_has_its_diagnosis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Momentum with adam did nothing; runs from before it was refused can be reported on."""
    (tmp_path / "history.csv").touch()
    seen: list[Train] = []

    def read(train: Path, metrics: object, params: Train, gate: Gate) -> list[Any]:
        seen.append(params)
        return []

    monkeypatch.setattr(diagnosis, "read", read)
    report: Any = SimpleNamespace(artifacts={"train": tmp_path}, settings={"train.momentum": 0.5, "train.epochs": 7})
    metrics: Any = {}
    assert analysis._diagnoses(report, metrics) == []
    assert seen == [Train(epochs=7)]
