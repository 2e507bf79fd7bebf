"""Whether the learning-rate schedule runs once more."""

import pytest

from components.artifact_files import HistoryRow
from components.settings.sections import Train
from components.train.cycles import last_epoch

PARAMS = Train(epochs=10, max_cycles=3)


def history(
    *val_losses: float, loss: float = 0.5, accuracy: float = 0.7, val_accuracy: float = 0.8
) -> list[HistoryRow]:
    return [
        {"epoch": number, "loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}
        for number, val_loss in enumerate(val_losses, 1)
    ]


FALLING = [1.0 - 0.05 * epoch for epoch in range(10)]  # to 0.55


def test_a_training_goes_on_while_a_cycle_lowers_the_validation_loss() -> None:
    """After 10 epochs and after 20, but not beyond three cycles."""
    assert last_epoch(PARAMS, []) == 10
    assert last_epoch(PARAMS, history(*FALLING[:9])) == 10
    assert last_epoch(PARAMS, history(*FALLING)) == 20
    lower = [value / 2 for value in FALLING]
    assert last_epoch(PARAMS, history(*FALLING, *lower)) == 30
    assert last_epoch(PARAMS, history(*FALLING, *lower, *[value / 4 for value in FALLING])) == 30


@pytest.mark.parametrize(
    "rows",
    [
        history(*reversed(FALLING)),  # it rises
        history(*FALLING, loss=0.01),  # the training images are memorized
        history(*FALLING, val_accuracy=0.995),  # good enough
        history(*FALLING, accuracy=0.85),  # learned
        history(*FALLING[:8], 0.7, 0.8),  # the last epochs are no better than those before
    ],
)
def test_a_training_ends_where_more_would_not_help(rows: list[HistoryRow]) -> None:
    assert last_epoch(PARAMS, rows) == 10


def test_a_cycle_that_gained_little_is_the_last() -> None:
    assert last_epoch(PARAMS, history(*FALLING, *[value - 0.01 for value in FALLING])) == 20


def test_epochs_that_are_set_are_not_exceeded() -> None:
    assert last_epoch(Train(epochs=10, max_cycles=1), history(*FALLING)) == 10
