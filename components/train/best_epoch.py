"""Which epoch's weights become the model: that with the lowest validation loss, once the learning rate has fallen.

On a small validation split the loss of an epoch with a high learning rate is low by chance now and then: of 25 images,
the first of 72 epochs was best. So where the schedule lets the rate fall, only the last fifth of its epochs, and what
follows, is chosen from; a training that ends before has its best epoch anywhere.
"""

from collections.abc import Mapping, Sequence

from components.artifact_files import HistoryRow
from components.history import LATE, best
from components.settings.sections import NO_WEIGHTS, Train

FALLING = ("onecycle", "cosine")  # fine-tuning has phases, each with a schedule of its own


def first_candidate(params: Train) -> int:
    """The number of the first epoch that is chosen from, 1 for all of them."""
    falls = params.schedule in FALLING and params.weights == NO_WEIGHTS
    return int(LATE * params.epochs) + 1 if falls else 1


def best_epoch(params: Train, history: Sequence[HistoryRow]) -> Mapping[str, float]:
    """The row of *history*, one an epoch, whose weights are kept with the resolved settings *params*."""
    return best(history[first_candidate(params) - 1 :] or history)
