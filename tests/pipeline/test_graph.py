"""The graph: eight names, one order, and a place of each name in every part of the project."""

import itertools
from dataclasses import fields
from pathlib import Path

from components.settings.sections import Params
from pipeline.graph import STAGES, ancestors, edges, order

ROOT = Path(__file__).parents[2]


def test_the_dictionary_is_written_in_an_order_in_which_the_stages_can_run() -> None:
    """A stage stands behind everything that it reads or waits for, so a plain loop over STAGES is a run."""
    assert set(order()) == set(STAGES)
    for position, stage in enumerate(STAGES):
        assert set(ancestors(stage)) <= set(list(STAGES)[:position])


def test_the_edges_are_one_line_from_ingest_to_promote() -> None:
    """Drawn with as few edges as give the order, the graph is the chain that the README shows."""
    names = list(STAGES)
    assert sorted(edges()) == sorted(itertools.pairwise(names))


def test_one_name_per_stage_everywhere() -> None:
    """Each stage has a module, a function of its name in it, a settings section and a test file."""
    for stage in STAGES:
        assert f"def {stage}(" in (ROOT / "components" / stage / "stage.py").read_text()
        assert stage in {field.name for field in fields(Params)}
        assert (ROOT / "tests" / "components" / stage / "test_stage.py").is_file()
