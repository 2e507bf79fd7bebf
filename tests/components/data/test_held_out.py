"""Held-out images: chosen by their content, a share of every class."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.data.held_out import held_out, places_of


@given(
    places=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=80),
    share=st.floats(0.01, 0.9),
    left=st.integers(1, 2),
)
def test_every_class_gives_half_to_twice_its_share_and_keeps_what_it_needs(
    places: list[float], share: float, left: int
) -> None:
    """At least one image where *left* others remain; copies are counted once and stay together."""
    there = np.array(places)
    chosen = held_out(there, share, left)
    distinct, held = set(places), set(there[chosen].tolist())
    assert not held & set(there[~chosen].tolist())
    if len(distinct) > left:
        assert 1 <= len(held) <= len(distinct) - left
        assert len(held) <= max(1, 2 * share * len(distinct))
        assert len(held) >= min(len(distinct) - left, int(share * len(distinct) / 2))
    assert not held or max(held) <= min(distinct - held, default=1.0)  # the lowest places


def test_more_images_move_none_of_a_class_of_usual_size() -> None:
    """Of 200 images, then 300, then 2,000: who is held out stays held out, and nobody else joins them."""
    hashes = np.random.default_rng(0).integers(0, 2**64, 2000, np.uint64)
    places = places_of(hashes, seed=0)
    all_of_them = held_out(places, 0.15, 1)
    for n in (200, 300):
        assert np.array_equal(held_out(places[:n], 0.15, 1), all_of_them[:n])


def test_places_are_spread_evenly_and_differ_by_seed() -> None:
    """Also those of hashes that differ in one bit, and from one seed to the next."""
    first, second = (places_of(np.arange(10_000, dtype=np.uint64), seed) for seed in (0, 1))
    assert np.abs(np.histogram(first, 10, (0, 1))[0] - 1000).max() < 130
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.04
    assert (first >= 0).all()
    assert (first < 1).all()
    assert np.array_equal(first, places_of(np.arange(10_000, dtype=np.uint64), 0))
