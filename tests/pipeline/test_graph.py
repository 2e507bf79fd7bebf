"""The graph: eight names, one order (their places in the tree: tests/test_layout.py)."""

import itertools

from pipeline.graph import STAGES, ancestors, edges, order


def test_the_dictionary_is_written_in_an_order_in_which_the_stages_can_run() -> None:
    """A stage comes after everything that it reads or waits for, so a plain loop over STAGES is a run."""
    assert set(order()) == set(STAGES)
    for position, stage in enumerate(STAGES):
        assert set(ancestors(stage)) <= set(list(STAGES)[:position])


def test_the_edges_are_one_line_from_ingest_to_promote() -> None:
    """Drawn with as few edges as give the order, the graph is the chain that the README shows."""
    names = list(STAGES)
    assert sorted(edges()) == sorted(itertools.pairwise(names))
