"""Which test images the canaries are."""

import numpy as np

from components.export.canaries import MOST, choose


def test_each_class_is_there_as_long_as_there_is_room() -> None:
    """A class of a single image too; the rest is spread over the split."""
    labels = np.zeros(1000, np.int64)
    labels[[10, 20, 999]] = 1, 1, 2
    chosen = choose(labels)
    assert len(chosen) == MOST
    assert {0, 10, 999} <= set(chosen.tolist())
    assert np.diff(chosen).max() < 100


def test_of_more_classes_than_canaries_some_are_there() -> None:
    """An image of each, spread over the classes as they occur."""
    chosen = choose(np.arange(1000) % 100)
    assert len(chosen) == len({*(chosen % 100)}) == MOST


def test_a_small_split_is_taken_whole() -> None:
    """No image twice."""
    assert choose(np.array([1, 0, 1])).tolist() == [0, 1, 2]
