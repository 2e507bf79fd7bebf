import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, log_loss, precision_recall_fscore_support

from components import metrics

LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (0, 1, 1.0),  # 2 * 1 / 2
        (0, 5, 0.0625),  # 2 * 1 / 32
        (1, 9, 0.021484375),  # 2 * (1 + 10) / 1024
        (9, 1, 0.021484375),
    ],
)
def test_mcnemar_is_twice_the_tail_of_a_fair_coin(first: int, second: int, p: float) -> None:
    """The exact p equals the one counted by hand, whichever of the two is better."""
    assert metrics.mcnemar(first, second) == p


def test_mcnemar_of_many_images_neither_overflows_nor_takes_long() -> None:
    """Ten thousand disagreements, of which 52 % speak for one side, are no accident."""
    assert metrics.mcnemar(4800, 5200) == pytest.approx(6.65e-05, rel=0.01)


def test_discordant_counts_the_images_that_one_alone_gets_right() -> None:
    """Images that both get right, or both wrong, count for neither."""
    truth = np.array([0, 1, 2, 0, 1])
    assert metrics.discordant(truth, np.array([0, 1, 2, 1, 0]), np.array([0, 0, 0, 0, 2])) == (2, 1)


@given(LABELS)
def test_confusion_and_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    """Counts, precision, recall, F1, support and macro F1 equal scikit-learn's, also for classes that do not occur."""
    truth, predicted = np.array(pairs).T
    matrix = metrics.confusion(truth, predicted, 5)
    np.testing.assert_array_equal(matrix, confusion_matrix(truth, predicted, labels=range(5)))
    *expected, support = precision_recall_fscore_support(truth, predicted, labels=range(5), zero_division=0)
    np.testing.assert_allclose(metrics.scores(matrix), expected)
    np.testing.assert_array_equal(matrix.sum(axis=1), support)
    assert metrics.macro_f1(matrix) == pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0))


def test_log_loss_is_that_of_scikit_learn_and_finite_at_a_probability_of_0() -> None:
    """The loss is the mean over the images in nats; being certain of the wrong class costs 16.1, not infinity."""
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25]], np.float32)
    truth = np.array([0, 2, 0])
    expected = log_loss(truth, probabilities, labels=range(3))
    assert metrics.log_loss(truth, probabilities) == pytest.approx(expected, rel=1e-6)
    certain = np.array([[1.0, 0.0]], np.float32)
    assert metrics.log_loss(np.array([1]), certain) == pytest.approx(-np.log(1e-7))


def test_calibration_error_is_the_one_counted_by_hand() -> None:
    """Two of four right at 0.9, one of one at 0.6: error 0.8 * |0.9 - 0.5| + 0.2 * |0.6 - 1|."""
    error, bins = metrics.calibration(
        np.array([0.9, 0.9, 0.9, 0.9, 0.6]), np.array([True, True, False, False, True]), bins=10
    )
    assert error == pytest.approx(0.4)
    assert [entry["count"] for entry in bins] == [0, 0, 0, 0, 0, 1, 0, 0, 4, 0]
    assert bins[8] == pytest.approx({"low": 0.8, "high": 0.9, "count": 4, "confidence": 0.9, "accuracy": 0.5})
    assert "accuracy" not in bins[0]


def test_calibration_counts_every_image_in_one_bin() -> None:
    """Confidences on the edges of bins, 0 and 1 among them, are counted once each."""
    edges = np.linspace(0, 1, 16)
    _, bins = metrics.calibration(edges, np.ones(16, bool))
    assert [entry["count"] for entry in bins] == [2] + [1] * 14


def test_separation_is_the_share_of_pairs_in_which_the_right_answer_was_more_confident() -> None:
    """Counted by hand, a tie as a half; without a mistake, or without a right answer, there is no pair."""
    confidence = np.array([0.9, 0.8, 0.8, 0.6, 0.7])
    right = np.array([True, True, False, False, True])
    assert metrics.separation(confidence, right) == (2 + 1.5 + 1) / 6
    assert metrics.separation(confidence, ~right) == 1 - 4.5 / 6
    assert metrics.separation(confidence, np.ones(5, bool)) is None
    assert metrics.separation(confidence, np.zeros(5, bool)) is None
