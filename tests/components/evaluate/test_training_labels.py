"""Suspected label errors in the training split: the votes of the nearest images."""

import numpy as np
import pytest
from numpy.typing import NDArray

from components.evaluate import training_labels
from components.evaluate.training_labels import Features, neighbours, suspects, votes

Labels = NDArray[np.int64]


def clusters(sizes: list[int], noise: float = 0.2, seed: int = 0) -> tuple[Features, Labels]:
    """Features of images whose classes are clusters of unequal size: around one axis each."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    vectors = np.eye(len(sizes))[labels] + np.random.default_rng(seed).normal(0, noise, (len(labels), len(sizes)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Features(vectors.astype(np.float32), np.arange(len(labels), dtype=np.uint64)), labels


def found(features: Features, labels: Labels) -> set[int]:
    return {suspect["index"] for suspect in suspects(features, labels, int(labels.max()) + 1)}


def test_wrong_labels_are_found_among_the_features_of_their_real_class() -> None:
    """Of 2 % planted errors all are found with the right class suggested, and hardly any image beside them."""
    features, right = clusters([150] * 4, noise=0.25)
    wrong = np.arange(7, 600, 50)
    labels = right.copy()
    labels[wrong] = (labels[wrong] + 1) % 4
    listed = suspects(features, labels, 4)
    assert {suspect["index"] for suspect in listed} >= set(wrong.tolist())
    assert len(listed) <= len(wrong) + 4
    assert all(s["predicted"] == right[s["index"]] for s in listed if s["index"] in wrong)
    assert all(s["truth"] == labels[s["index"]] and s["split"] == "train" for s in listed)
    assert [s["margin"] for s in listed] == sorted(s["margin"] for s in listed)


def test_right_labels_are_not_suspected() -> None:
    """Classes that overlap give doubtful images, and fewer than 1 % of them are suspected."""
    features, labels = clusters([200] * 5, noise=0.3)
    own = votes(features, labels, 5, 15)[np.arange(1000), labels]
    assert (own < 15).mean() > 0.2
    assert len(found(features, labels)) < 10


def test_an_image_and_its_copies_do_not_vote_on_it() -> None:
    """Twenty copies of an image under a wrong label do not vouch for each other, nor outvote others.

    Only the first of them is named.
    """
    features, labels = clusters([100, 100])
    vectors = np.concatenate([features.vectors, features.vectors[:1].repeat(20, axis=0)])
    copies = np.concatenate([features.copies, features.copies[:1].repeat(20)])
    labels = np.concatenate([labels, np.ones(20, np.int64)])
    assert found(Features(vectors, copies), labels) == {200}


def test_a_class_that_its_features_do_not_show_is_left_out() -> None:
    """A rare class amid another would be suspected as a whole: it is the network that does not know it."""
    features, labels = clusters([300, 300])
    labels[:12] = 2
    assert found(features, labels) == set()


def test_equally_near_images_all_vote_in_any_order() -> None:
    """A network that sees no difference between images says nothing about their labels, and order plays no part."""
    vectors, copies = np.ones((60, 1), np.float32), np.arange(60, dtype=np.uint64)
    labels = np.repeat([0, 1], [40, 20])
    assert votes(Features(vectors, copies), labels, 2, 5).tolist() == [[39, 20]] * 40 + [[40, 19]] * 20
    assert found(Features(vectors, copies), labels) == set()


def test_votes_do_not_depend_on_the_size_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cosines of all pairs are never in memory at once; each block of them gives the same counts."""
    features, labels = clusters([40, 50, 60], noise=0.4)
    whole = votes(features, labels, 3, 7)
    assert whole.sum() == 150 * 7
    monkeypatch.setattr(training_labels, "BLOCK_BYTES", 7 * 4 * 150)
    np.testing.assert_array_equal(votes(features, labels, 3, 7), whole)


@pytest.mark.parametrize("count", [1, 2, 6])
def test_a_few_images_are_no_error(count: int) -> None:
    """With fewer images than would vote, those that there are do."""
    features, labels = clusters([count])
    assert votes(features, labels, 1, 5).sum() == count * min(5, count - 1)
    assert found(features, labels) == set()


@pytest.mark.parametrize(("images", "expected"), [(5 * 1000, 15), (5 * 50, 6), (5 * 4, 5)])
def test_fewer_images_vote_where_classes_are_small(images: int, expected: int) -> None:
    """Otherwise those of other classes would be among them."""
    assert neighbours(np.arange(images) % 5) == expected
