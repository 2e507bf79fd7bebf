"""How often the learning-rate schedule runs: again, while one more cycle would visibly help.

A schedule that ends has an end that must be chosen before; where it was too early, the rate is raised again and the
same schedule runs once more, as in SGDR (arXiv:1608.03983). The decision is a function of the history alone, so a
training that is killed and resumed decides alike.
"""

from collections.abc import Sequence

from components.artifact_files import HistoryRow
from components.history import best, late_fall, memorizes
from components.settings.sections import Train

GOOD_ENOUGH = 0.99  # validation accuracy from which another cycle would change little
LEARNED = 0.8  # accuracy on the training images, augmented, from which it is not worth as much time again
FALL = 0.05  # by which a cycle after the first has to lower the validation loss


def last_epoch(params: Train, history: Sequence[HistoryRow]) -> int:
    """The number of the epoch with which the training ends, as far as *history*, of one row an epoch, shows."""
    end = params.epochs
    while len(history) >= end and end < params.epochs * params.max_cycles and _still_falls(params, history[:end]):
        end += params.epochs
    return end


def _still_falls(params: Train, history: Sequence[HistoryRow]) -> bool:
    """Whether the last cycle of *history* ended while the validation loss was falling, and more can be learned."""
    before, cycle = history[: -params.epochs], history[-params.epochs :]
    fell = not before or best(cycle)["val_loss"] < (1 - FALL) * best(before)["val_loss"]
    falling = params.epochs == 1 or late_fall(cycle) > 0
    learned = best(cycle)["val_accuracy"] >= GOOD_ENOUGH or cycle[-1]["accuracy"] >= LEARNED
    return falling and fell and not learned and not memorizes(cycle)
