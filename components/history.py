"""What the history of a training shows: one row an epoch, with its losses and accuracies. Standard library only."""

from collections.abc import Mapping, Sequence

Rows = Sequence[Mapping[str, float]]

LATE = 0.8  # share of the epochs after which the best one shows that training ended too early
MEMORIZED = 0.3  # of the validation loss: a lower training loss says that more epochs would not generalize better


def best(rows: Rows) -> Mapping[str, float]:
    """The epoch with the lowest validation loss, the first of equal ones."""
    return min(rows, key=lambda row: row["val_loss"])


def late_fall(rows: Rows) -> float:
    """By which share the last fifth of *rows* lowered the best validation loss; 0 where it did not.

    A training of one epoch has no earlier one to compare with: 0.
    """
    before = rows[: max(int(LATE * len(rows)), 1)]
    after = rows[len(before) :]
    if not after or best(before)["val_loss"] <= 0:
        return 0.0
    return max(0.0, 1 - best(after)["val_loss"] / best(before)["val_loss"])


def memorizes(rows: Rows) -> bool:
    """Whether the best epoch knows the training images far better than those of validation."""
    row = best(rows)
    return row["loss"] < MEMORIZED * row["val_loss"]
