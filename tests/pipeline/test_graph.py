"""The graph: eight names, one order (their places in the tree: tests/test_layout.py)."""

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from components.artifact_files import Statistics
from components.settings.sections import Params
from pipeline.graph import STAGES, ancestors, edges, order
from tests.support.ingested_images import ingested, statistics_of, validated


def test_the_dictionary_is_written_in_an_order_in_which_the_stages_can_run() -> None:
    """A stage comes after everything that it reads or waits for, so a plain loop over STAGES is a run."""
    assert set(order()) == set(STAGES)
    for position, stage in enumerate(STAGES):
        assert set(ancestors(stage)) <= set(list(STAGES)[:position])


def test_the_edges_are_one_line_from_ingest_to_promote() -> None:
    """Drawn with as few edges as give the order, the graph is the chain that the README shows."""
    names = list(STAGES)
    assert sorted(edges()) == sorted(itertools.pairwise(names))


def test_the_check_of_the_images_hears_of_those_of_the_champion(tmp_path: Path) -> None:
    """Drift from the data that the champion was trained on is judged in every run, not in tests of the rule alone."""
    bright, dark = np.full((120, 4, 4, 1), 250, np.uint8), np.full((120, 4, 4, 1), 5, np.uint8)
    labels = np.arange(120) % 3
    noise = np.random.default_rng(0).integers(0, 5, bright.shape, dtype=np.uint8)
    here = validated(tmp_path, ingested(tmp_path / "in", (bright + noise, labels), (bright - noise, labels)))
    champion = validated(tmp_path / "c", ingested(tmp_path / "c/in", (dark + noise, labels), (dark - noise, labels)))

    def findings(statistics: Statistics | None) -> list[str]:
        context: Any = SimpleNamespace(
            params=Params(),
            path=lambda stage: here,
            facts=lambda stage: {},
            champion_statistics=lambda: statistics,
            champion_classes=lambda: None,
        )
        check = STAGES["validate"].check
        assert check
        return [finding.text for finding in check(context).findings if "champion's data" in finding.text]

    assert findings(None) == []
    (text,) = findings(statistics_of(champion))
    assert text.startswith("train: mean brightness is 0.9")
